/** Results of the cluster's benchmark, and their table. */
import { quantile } from '../load/statistics.ts';

export interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  /** CPU time of all members (or of the bare server) per request; null: nobody answered requests. */
  readonly cpuUs: number | null;
  /** Of the machine, over the minute before its end; its own processes are in it. */
  readonly load: number;
}

export interface Figure {
  readonly name: string;
  readonly title: string;
  readonly rounds: readonly Measured[];
}

export interface ClusterResults {
  readonly started: string;
  /** Of each measurement. */
  readonly seconds: number;
  readonly rounds: number;
  readonly machine: Readonly<Record<string, string | number>>;
  /** What else must be known of this run; empty if nothing. */
  readonly note: string;
  readonly figures: readonly Figure[];
}

const median = (figure: Figure, name: keyof Measured): number =>
  quantile(
    figure.rounds.map((round) => round[name] ?? Number.NaN),
    0.5,
  );

function row(figure: Figure): string {
  const rates = figure.rounds.map(({ perSecond }) => perSecond);
  const [low, high] = [Math.min(...rates), Math.max(...rates)];
  const errors = figure.rounds.reduce((sum, one) => sum + one.errors, 0);
  const cells = [
    figure.title,
    `${Math.round(median(figure, 'perSecond'))}`,
    `${low} to ${high}`,
    `${median(figure, 'p50Ms').toFixed(2)}`,
    `${median(figure, 'p99Ms').toFixed(2)}`,
    `${errors}`,
    figure.rounds[0]?.cpuUs === null ? '' : `${Math.round(median(figure, 'cpuUs'))}`,
    `${median(figure, 'load').toFixed(1)}`,
  ];
  return `| ${cells.join(' | ')} |`;
}

export function clusterMarkdown({ started, seconds, rounds, machine, note, figures }: ClusterResults): string {
  const about = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  return [
    `Measured ${started.slice(0, 10)}, ${rounds} rounds of ${seconds} s, medians; ${about.join(', ')}. Members, wrk and whatever`,
    `else ran shared the machine's cores; \`load\` is its load average then.${note === '' ? '' : ` ${note}`}`,
    '',
    '| | per second | lowest to highest | p50, ms | p99, ms | errors | CPU each, us | load |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...figures.map(row),
    '',
  ].join('\n');
}
