/** Draws GET /stats for people: one line for the process, one per listener, a table per pool. */
import type { NodeStats, PoolStats, Stats } from '../observe/stats-model.ts';
import { type Cell, type Colour, coloured, drawTable } from './table.ts';

const nothing = '-';

function span(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days > 0) return `${days}d ${hours}h`;
  if (hours > 0) return `${hours}h ${minutes}m`;
  return minutes > 0 ? `${minutes}m ${Math.floor(seconds % 60)}s` : `${Math.floor(seconds)}s`;
}

const rate = (perSecond: number): string => (perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toFixed(1));
const ms = (value: number | null): string =>
  value === null ? nothing : `${value.toFixed(value < 1 ? 2 : value < 10 ? 1 : 0)} ms`;

/** One word for what the operator wants and what was seen, the stronger one first. */
function stateOf(node: NodeStats): { readonly text: string; readonly colour: Colour } {
  if (node.wish !== 'ready') return { text: node.wish, colour: 'yellow' };
  if (node.fitness === 'probation') return { text: 'probation', colour: 'yellow' };
  if (node.ejectedUntil !== null && node.fitness === 'unfit') return { text: 'ejected', colour: 'red' };
  if (node.fitness === 'unfit') return { text: node.verdict, colour: 'red' };
  return { text: node.verdict, colour: node.verdict === 'healthy' ? 'green' : 'yellow' };
}

const weightOf = (node: NodeStats): string =>
  node.weightInForce === node.weight || node.fitness === 'unfit'
    ? String(node.weight)
    : `${Number(node.weightInForce.toFixed(2))}/${node.weight}`;

const headings = ['NODE', 'STATE', 'WEIGHT', 'IN FLIGHT', 'REQ/S', 'P50', 'P99', '5XX', 'ERRORS', 'WHY'];
const numeric = new Set(['WEIGHT', 'IN FLIGHT', 'REQ/S', 'P50', 'P99', '5XX', 'ERRORS']);

function nodeRow(node: NodeStats): Cell[] {
  const { connectErrors, resets, timeouts, badAnswers, status5xx } = node.counters;
  const right = (text: string): Cell => ({ text, right: true });
  return [
    { text: node.backup ? `${node.id} (backup)` : node.id },
    stateOf(node),
    right(weightOf(node)),
    right(String(node.inFlight)),
    right(rate(node.requestsPerSecond)),
    right(ms(node.latency.p50Ms)),
    right(ms(node.latency.p99Ms)),
    right(String(status5xx)),
    right(String(connectErrors + resets + timeouts + badAnswers)),
    { text: node.why, colour: 'dim' },
  ];
}

function drawPool(pool: PoolStats): string {
  const colour = pool.fit === 0 ? 'red' : pool.fit < pool.total ? 'yellow' : 'green';
  const facts = [
    `${coloured(`pool ${pool.name}`, 'bold')} · ${pool.algorithm}`,
    coloured(`${pool.fit} of ${pool.total} nodes fit`, colour),
    ...(pool.panic ? [coloured('PANIC: too few nodes are fit, all are used', 'red')] : []),
    `${pool.active} active`,
    ...(pool.pending > 0 ? [`${pool.pending} waiting`] : []),
    `${rate(pool.requestsPerSecond)} req/s`,
  ];
  const heading = headings.map((text): Cell => ({ text, colour: 'dim', right: numeric.has(text) }));
  return `\n${facts.join(' · ')}\n${drawTable([heading, ...pool.nodes.map(nodeRow)], '  ')}`;
}

export function drawStatus(stats: Stats): string {
  const { process: own, config, threads } = stats;
  const running = threads.filter((thread) => thread.state === 'running').length;
  const restarts = threads.reduce((sum, thread) => sum + thread.restarts, 0);
  const head = [
    `evenkeel ${own.version}`,
    `pid ${own.pid}`,
    `up ${span(own.uptimeSeconds)}`,
    `config ${config.version} from ${config.file ?? 'the command line'}`,
    `${running} of ${threads.length} data threads run${restarts > 0 ? `, ${restarts} restarted` : ''}`,
  ];
  const failed = config.lastReload !== null && !config.lastReload.ok ? config.lastReload : null;
  const reload =
    failed === null ? '' : `${coloured('last reload refused', 'red')} at ${failed.at}: ${failed.problem}\n`;
  const listeners = stats.listeners.map((listener): Cell[] => [
    { text: `listener ${listener.name}` },
    listener.open ? { text: 'open', colour: 'green' } : { text: 'not open', colour: 'red' },
    { text: `${listener.connections} connections` },
    { text: `${rate(listener.requestsPerSecond)} req/s` },
  ]);
  return `${head.join(' · ')}\n${reload}${drawTable(listeners)}${stats.pools.map(drawPool).join('')}`;
}
