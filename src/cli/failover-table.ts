/** Draws GET /ha/failover for people: per pool one line, why it is so, and a table of its nodes. */
import type { Fields } from './ha-client.ts';
import { type Cell, type Colour, coloured, drawTable } from './table.ts';

const nothing = '-';
const text = (value: unknown): string =>
  value === null || value === undefined || value === '' ? nothing : String(value);
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.filter(isFields) : []);
const namesOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);

const colours: Readonly<Record<string, Colour>> = { NORMAL: 'green', FAILED: 'red', PRIMARY: 'bold' };
const colourOf = (word: unknown): Colour => colours[String(word)] ?? 'yellow';

const headings = ['NODE', 'ROLE', 'UP', 'POSITION', 'LAG', 'PRIORITY', 'LAST CHECK'];

function row(node: Fields): Cell[] {
  const { up } = node;
  const isUp = up === true ? 'yes' : up === false ? 'no' : 'unknown';
  const held = namesOf(node['heldDownBy']);
  const notes = [
    text(node['detail']),
    ...(node['returning'] === true ? ['was primary, takes no reads yet'] : []),
    ...(held.length > 0 ? [`held for down by ${held.join(', ')}`] : []),
  ];
  return [
    { text: text(node['id']) },
    { text: text(node['role']), ...(node['role'] === 'PRIMARY' ? { colour: 'bold' } : {}) },
    { text: isUp, colour: up === true ? 'green' : up === false ? 'red' : 'yellow' },
    { text: text(node['position']), right: true },
    { text: node['lagMs'] === null ? nothing : `${text(node['lagMs'])} ms`, right: true },
    { text: text(node['priority']), right: true },
    { text: notes.join('; '), colour: 'dim' },
  ];
}

function drawPool(name: string, pool: Fields): string {
  const writes = isFields(pool['writes']) ? pool['writes'] : {};
  const sent = writes['sent'] === true;
  const waiting = Number(writes['waiting'] ?? 0);
  const facts = [
    `pool ${name} ${coloured(text(pool['state']), colourOf(pool['state']))}`,
    pool['primary'] === null ? coloured('no primary', 'red') : `primary ${text(pool['primary'])}`,
    `epoch ${text(pool['epoch'])}`,
    sent ? 'writes are sent' : coloured(`writes are NOT sent: ${text(writes['why'])}`, 'red'),
    ...(waiting > 0 ? [`${waiting} writes wait`] : []),
    ...(pool['automatic'] === true ? [] : [coloured('automatic failover is off', 'yellow')]),
  ];
  const planned = isFields(pool['planned']) ? pool['planned'] : null;
  const notes = [
    ...(text(pool['reason']) === nothing ? [] : [text(pool['reason'])]),
    ...(pool['restsUntil'] === null ? [] : [`automatic failover rests until ${text(pool['restsUntil'])}`]),
    ...(planned === null
      ? []
      : [`a switch to ${planned['target'] ?? 'the fittest'} is planned for ${text(planned['at'])}`]),
    ...(pool['linkFault'] === true ? ['this member alone cannot reach the primary'] : []),
    ...(namesOf(pool['policyDiffersOn']).length > 0
      ? [`the config of this pool differs on ${namesOf(pool['policyDiffersOn']).join(', ')}`]
      : []),
  ];
  const table = drawTable([
    headings.map((heading): Cell => ({ text: heading, colour: 'dim' })),
    ...listOf(pool['nodes']).map(row),
  ]);
  return `${[facts.join(' · '), ...notes].join('\n')}\n\n${table}`;
}

export function drawFailover(status: Fields, only: string | null): string {
  const pools = isFields(status['pools']) ? Object.entries(status['pools']) : [];
  return pools
    .filter(([name]) => only === null || name === only)
    .flatMap(([name, pool]) => (isFields(pool) ? [drawPool(name, pool)] : []))
    .join('\n');
}

/** Whether each pool has a primary that takes writes. */
export function isWriting(status: Fields, only: string | null): boolean {
  const pools = isFields(status['pools']) ? Object.entries(status['pools']) : [];
  const wanted = pools.filter(([name]) => only === null || name === only);
  return wanted.every(([, pool]) => isFields(pool) && isFields(pool['writes']) && pool['writes']['sent'] === true);
}

export function drawPlan(pool: string, answer: Fields): string {
  const plan = answer['plan'];
  if (!isFields(plan)) return `${text(answer['text'])}\n`;
  const others = listOf(plan['others']).map((one) => `  ${text(one['node'])}: ${text(one['why'])}\n`);
  return [
    ...(answer['dryRun'] === true ? [] : [`${text(answer['text'])}\n`]),
    `pool ${pool}: ${text(plan['from'])} -> ${text(plan['to'])} (${text(plan['why'])})\n`,
    `writes would pause for about ${text(plan['pauseMs'])} ms\n`,
    ...(others.length > 0 ? ['not chosen:\n', ...others] : []),
  ].join('');
}

export function drawHistory(answer: Fields): string {
  const rows = listOf(answer['events']).map((event): Cell[] => [
    { text: text(event['at']), colour: 'dim' },
    { text: text(event['pool']) },
    { text: text(event['text']) },
  ]);
  return rows.length === 0 ? 'nothing has happened yet\n' : drawTable(rows);
}
