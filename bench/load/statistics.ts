/**
 * Order, ratios and quartiles. On a shared machine the same program is faster or slower a minute later, so nothing is
 * compared but neighbours in time: a round is `o a b o c d o e`, o being ours, so that each peer runs directly before or
 * after us and is held against that run. Every other round goes backwards, so that being first or second favours nobody.
 */
import type { Sample } from './contract.ts';

export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)]!;
  const high = sorted[Math.ceil(at)]!;
  return low + (high - low) * (at - Math.floor(at));
}

export interface Quartiles {
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
}

export const quartiles = (values: readonly number[]): Quartiles => ({
  q1: quantile(values, 0.25),
  median: quantile(values, 0.5),
  q3: quantile(values, 0.75),
});

/** Order of a round: `ours` and each peer, as above. */
export function orderOf<T>(ours: T, peers: readonly T[], round: number): T[] {
  const order: T[] = [];
  peers.forEach((peer, index) => {
    if (index % 2 === 0) order.push(ours);
    order.push(peer);
  });
  if (peers.length % 2 === 0) order.push(ours);
  return round % 2 === 0 ? order : order.reverse();
}

/** Ratios ours / theirs of a figure, one per round. */
export function ratios(rounds: readonly (readonly Sample[])[], pair: Pair): number[] {
  return rounds.flatMap((samples) => {
    const at = samples.findIndex((sample) => sample.label === pair.theirs);
    const neighbour = [samples[at - 1], samples[at + 1]].find((sample) => sample?.label === pair.ours);
    const [ours, theirs] = [neighbour?.figures[pair.figure], samples[at]?.figures[pair.figure]];
    const known = ours !== undefined && theirs !== undefined && Number.isFinite(ours) && theirs > 0;
    return known ? [ours / theirs] : [];
  });
}

export interface Pair {
  readonly ours: string;
  readonly theirs: string;
  readonly figure: string;
}

/** All values of a figure, in order. */
export const valuesOf = (rounds: readonly (readonly Sample[])[], label: string, figure: string): number[] =>
  rounds.flatMap((samples) =>
    samples.flatMap((sample) => {
      const value = sample.label === label ? sample.figures[figure] : undefined;
      return value === undefined ? [] : [value];
    }),
  );
