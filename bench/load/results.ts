/** What a run comes to: medians, ratios with their quartiles, and a verdict for each bound. Pure. */
import { type Bound, bounds } from './bounds.ts';
import type { Kind } from './kinds.ts';
import type { Measured, Skipped } from './run.ts';
import { type Quartiles, quantile, quartiles, ratios, valuesOf } from './statistics.ts';

export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly loadAverage: readonly [number, number];
  readonly compared: readonly string[];
  readonly subjects: readonly { readonly label: string; readonly medians: Readonly<Record<string, number>> }[];
  readonly ratios: readonly RatioResult[];
}

export interface RatioResult extends Quartiles {
  readonly figure: string;
  readonly against: string;
  readonly rounds: number;
}

export interface Verdict {
  readonly what: string;
  readonly against: string | null;
  readonly atMost: number;
  /** A miss is a first quartile above the bound. Judged is only the full form, by at least 9 rounds. */
  readonly verdict: 'met' | 'miss' | 'not judged' | 'not measured';
  readonly quartiles: Quartiles | null;
  readonly why: string | null;
}

export interface Results {
  readonly form: 'quick' | 'judged' | 'full';
  readonly started: string;
  readonly tool: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly proxies: readonly { readonly name: string; readonly title: string; readonly version: string }[];
  readonly absent: readonly string[];
  readonly scenarios: readonly ScenarioResult[];
  readonly verdicts: readonly Verdict[];
  readonly skipped: readonly Skipped[];
}

export function scenarioResult(measured: Measured): ScenarioResult {
  const { scenario, ours, peers, rounds, loadAverage } = measured;
  const subjects = [ours, ...peers].map((label) => {
    const names = Object.keys(rounds.flat().find((sample) => sample.label === label)?.figures ?? {});
    const medians = names.map((name) => [name, quantile(valuesOf(rounds, label, name), 0.5)] as const);
    return { label, medians: Object.fromEntries(medians) };
  });
  const all = scenario.compare.flatMap((figure) =>
    peers.map((against): RatioResult => {
      const values = ratios(rounds, { ours, theirs: against, figure });
      return { figure, against, rounds: values.length, ...quartiles(values) };
    }),
  );
  const { name } = scenario;
  const title = titleOf(measured);
  return { name, title, loadAverage, compared: scenario.compare, subjects, ratios: all };
}

/** With the size that the load really had, where that is not the one that the title names. */
function titleOf({ scenario, load, limit }: Measured): string {
  const { title } = scenario;
  if ('count' in load && load.count > limit) return `${title} (here ${limit}: the limit of open files)`;
  const sizes = 'count' in load ? load.count : 'burst' in load ? load.burst : 'rate' in load ? load.rate : null;
  return sizes !== null && load !== scenario.load ? `${title} (here ${sizes})` : title;
}

export const leastRounds = 9;

export function verdictOf(bound: Bound, measured: readonly Measured[], quick = false): Verdict {
  const { what, against, atMost, figure } = bound;
  const unknown = (why: string): Verdict => ({ what, against, atMost, verdict: 'not measured', quartiles: null, why });
  if (bound.scenario === null) return unknown(bound.whyNot ?? 'no scenario');
  const one = measured.find((candidate) => candidate.scenario.name === bound.scenario);
  if (one === undefined) return unknown(`scenario ${bound.scenario} is not part of this run`);
  if (against !== null && !one.peers.includes(against)) return unknown(`${against} is not part of this run`);
  const values =
    against === null
      ? valuesOf(one.rounds, one.ours, figure)
      : ratios(one.rounds, { ours: one.ours, theirs: against, figure });
  if (values.length === 0) return unknown(`no round gave a usable ${figure}`);
  const spread = quartiles(values);
  const judged = (verdict: Verdict['verdict'], why: string | null): Verdict => {
    return { what, against, atMost, verdict, quartiles: spread, why };
  };
  if (quick) return judged('not judged', 'the quick form');
  if (values.length < leastRounds)
    return judged('not judged', `${values.length} rounds of the ${leastRounds} it takes`);
  return judged(spread.q1 > atMost ? 'miss' : 'met', null);
}

export const verdictsOf = (measured: readonly Measured[], quick = false): Verdict[] =>
  bounds.map((bound) => verdictOf(bound, measured, quick));

export const absentOf = (kinds: readonly Kind[]): string[] =>
  kinds.filter((kind) => kind.program === null).map((kind) => kind.name);
