/**
 * The part of the full form that a verdict needs, and how long a run takes. Pure.
 *
 * A bound names a scenario and whom it is held against: nothing else is run, so that a run that can be judged (9 rounds)
 * fits into the time that a machine has nothing else to do.
 */
import type { Bound } from './bounds.ts';
import { type Load, type Pace, proxyNames, type Scenario } from './contract.ts';
import { orderOf } from './statistics.ts';

/** The scenarios that bounds name, each with the peers that they name. */
export function judgedScenarios(all: readonly Scenario[], bounds: readonly Bound[]): Scenario[] {
  return all.flatMap((scenario) => {
    const named = bounds.filter((bound) => bound.scenario === scenario.name).map((bound) => bound.against);
    return named.length === 0 ? [] : [{ ...scenario, peers: proxyNames.filter((name) => named.includes(name)) }];
  });
}

/** Beside the load itself: start and end of the load tool, figures from /proc. */
const overheadSeconds = 0.3;
/** Until a proxy and its nodes have started and answered. */
const startSeconds = 1.5;
/** Gathering a crowd, and waiting twice until memory stands still. */
const crowdSeconds = 6;

function sampleSeconds(load: Load, seconds: number): number {
  if (load.kind === 'idle' || load.kind === 'stalled') return crowdSeconds;
  return overheadSeconds + seconds + (load.kind === 'burst' ? 1 : 0);
}

/** What a run takes, within a third or so. `peersOf`: how many stand beside us in a scenario. */
export function expectedSeconds(
  list: readonly Scenario[],
  pace: Pace,
  peersOf: (scenario: Scenario) => number,
): number {
  let total = 0;
  for (const scenario of list) {
    const peers = Array.from({ length: peersOf(scenario) }, (_, i) => i + 1);
    const subjects = peers.length + 1;
    const samples = pace.rounds * orderOf(0, peers, 0).length;
    const warmUps = scenario.fresh || pace.rounds === 1 ? 0 : subjects;
    const starts = scenario.fresh ? samples : subjects;
    const each = sampleSeconds(scenario.load, pace.seconds * (scenario.longer ?? 1));
    total += (samples + warmUps) * each + starts * startSeconds;
  }
  return total;
}
