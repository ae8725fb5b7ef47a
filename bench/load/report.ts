/** Results as Markdown: for the terminal, for a file, for a page. Pure. */
import { leastRounds, type Results, type ScenarioResult, type Verdict } from './results.ts';
import type { Quartiles } from './statistics.ts';

/** Columns in this order; a scenario shows those that it has. */
const columns: Readonly<Record<string, string>> = {
  cpu: 'CPU us/request',
  user: 'user',
  system: 'system',
  rate: 'requests/s',
  bulkRate: 'bulk/s',
  p50: 'p50 ms',
  p99: 'p99 ms',
  p999: 'p99.9 ms',
  addedP50: 'added p50 ms',
  addedP99: 'added p99 ms',
  directP50: 'direct p50 ms',
  directP99: 'direct p99 ms',
  connections: 'connections',
  perConnection: 'KiB/connection',
  rss: 'RSS MiB',
  errors: 'errors',
};

export const number = (value: number): string =>
  Number.isNaN(value)
    ? '-'
    : Math.abs(value) >= 100
      ? String(Math.round(value))
      : value.toFixed(Math.abs(value) >= 10 ? 1 : 2);

const spread = ({ q1, median, q3 }: Quartiles): string => `${median.toFixed(2)} (${q1.toFixed(2)} to ${q3.toFixed(2)})`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const width = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(width[i]!) : cell.padStart(width[i]!))).join(' | ')} |`;
  const rule = `|${width.map((n, i) => (i === 0 ? '-'.repeat(n + 2) : `${'-'.repeat(n + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

export function scenarioMarkdown(result: ScenarioResult): string {
  const present = Object.keys(columns).filter((name) => result.subjects.some((one) => name in one.medians));
  const compared = result.compared.map((figure) => `evenkeel / it, ${columns[figure] ?? figure}`);
  const rows = result.subjects.map(({ label, medians }) => [
    label,
    ...present.map((name) => number(medians[name] ?? Number.NaN)),
    ...result.compared.map((figure) => {
      const ratio = result.ratios.find((one) => one.against === label && one.figure === figure);
      return ratio === undefined ? '' : ratio.rounds === 0 ? '-' : spread(ratio);
    }),
  ]);
  const average = `Load average ${result.loadAverage.join(' before, ')} after.`;
  return `### ${result.name}: ${result.title}\n\n${table(['', ...present.map((name) => columns[name]!), ...compared], rows)}\n\n${average}\n`;
}

export function verdictsMarkdown(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map((one) => [
    one.what,
    one.against ?? '(absolute)',
    String(one.atMost),
    one.quartiles === null ? '-' : spread(one.quartiles),
    one.why === null ? one.verdict : `${one.verdict}: ${one.why}`,
  ]);
  return table(['figure', 'against', 'at most', 'median (quartiles)', 'verdict'], rows);
}

export function markdown(results: Results): string {
  const { machine } = results;
  const shorter =
    results.form === 'quick' || results.rounds < leastRounds
      ? ' Too short to judge by: it shows that the harness works, and where to look.'
      : '';
  const lines = [
    '# Load benchmark',
    '',
    `${results.form} form, ${results.started}, driven by ${results.tool}: ${results.rounds} rounds of ${results.seconds} s each.${shorter}`,
    `${machine['processor']}, ${machine['cores']} cores, Linux ${machine['kernel']}, Node ${machine['node']}, ${machine['openFiles']} open files.`,
    'Figures are medians over the rounds. Ratios are taken per round between neighbours in time: median (first to third quartile).',
    '',
    ...results.proxies.map((proxy) => `- ${proxy.name}: ${proxy.title}; ${proxy.version}`),
    '',
    `Absent from this machine: ${results.absent.length === 0 ? 'none' : results.absent.join(', ')}.`,
    '',
    '## Against what is wanted',
    '',
    `A miss is a first quartile above the bound. The full form is judged, from ${leastRounds} rounds on.`,
    '',
    verdictsMarkdown(results.verdicts),
    '',
    '## Scenarios',
    '',
    ...results.scenarios.map(scenarioMarkdown),
  ];
  if (results.skipped.length > 0) {
    const skipped = results.skipped.map(
      (one) => `- ${one.scenario}, ${one.subject ?? 'all'}: ${one.why.split('\n')[0]}`,
    );
    lines.push('## Skipped', '', ...skipped, '');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}
