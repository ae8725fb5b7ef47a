/** Draws GET /api/ha/cluster for people: one line for the cluster, a table of its members. */
import type { Fields } from './ha-client.ts';
import { type Cell, type Colour, coloured, drawTable } from './table.ts';

const nothing = '-';
const text = (value: unknown): string =>
  value === null || value === undefined || value === '' ? nothing : String(value);

const colours: Readonly<Record<string, Colour>> = {
  STABLE: 'green',
  LEADER: 'green',
  ACTIVE: 'green',
  UNREACHABLE: 'red',
  SPLIT_BRAIN: 'red',
};
const colourOf = (state: unknown): Colour => colours[String(state)] ?? 'yellow';

function lagOf(lag: unknown): string {
  if (typeof lag !== 'object' || lag === null) return nothing;
  const { entries, seconds } = lag as Fields;
  return `${text(entries)} / ${Number(seconds).toFixed(1)} s`;
}

const headings = ['MEMBER', 'STATE', 'SEAT', 'ADDRESS', 'ZONE', 'VERSION', 'LAG', 'SEEN', 'WHY'];

function row(member: Fields): Cell[] {
  const blind = Array.isArray(member['cannotReach']) ? member['cannotReach'].map(String) : [];
  const why = [text(member['reason']), blind.length > 0 ? `does not reach ${blind.join(', ')}` : nothing];
  const marks = `${member['self'] === true ? ' (asked)' : ''}${member['witness'] === true ? ' (witness)' : ''}`;
  return [
    { text: `${text(member['name'])}${marks}` },
    { text: text(member['state']), colour: colourOf(member['state']) },
    { text: text(member['seat']) },
    { text: text(member['address']) },
    { text: text(member['zone']) },
    { text: text(member['version']) },
    { text: lagOf(member['lag']), right: true },
    { text: member['self'] === true ? nothing : text(member['reach']) },
    { text: why.filter((one) => one !== nothing).join('; '), colour: 'dim' },
  ];
}

export function drawMembers(cluster: Fields): string {
  const members = Array.isArray(cluster['members']) ? (cluster['members'] as Fields[]) : [];
  return drawTable([headings.map((heading): Cell => ({ text: heading, colour: 'dim' })), ...members.map(row)]);
}

export function drawCluster(cluster: Fields): string {
  const missing = Array.isArray(cluster['missing']) ? cluster['missing'].map(String) : [];
  const facts = [
    `cluster ${coloured(text(cluster['state']), colourOf(cluster['state']))}`,
    cluster['leader'] === null ? coloured('no leader', 'red') : `leader ${text(cluster['leader'])}`,
    `term ${text(cluster['term'])}`,
    cluster['quorum'] === true ? 'quorum' : coloured('NO QUORUM', 'red'),
    ...(missing.length > 0 ? [coloured(`missing ${missing.join(', ')}`, 'red')] : []),
  ];
  const reason = text(cluster['reason']) === nothing ? '' : `${text(cluster['reason'])}\n`;
  const risks = Array.isArray(cluster['risks']) ? cluster['risks'].map(String) : [];
  const notes = risks.map((risk) => coloured(`note: ${risk}\n`, 'yellow')).join('');
  return `${facts.join(' · ')}\n${reason}\n${drawMembers(cluster)}${notes === '' ? '' : `\n${notes}`}`;
}
