/**
 * Majorities, and nothing else: what a set of voters has committed, confirmed or decided.
 *
 * An empty set commits everything and wins every vote, as a neutral element; a machine without voters never asks.
 */
import type { Config, MemberId } from './model.ts';

const majority = (voters: number): number => Math.floor(voters / 2) + 1;

/** The highest value that a quorum has reached; Infinity for no voters. An unknown voter's value is -Infinity or 0. */
export function reached(
  voters: readonly MemberId[],
  valueFor: (voter: MemberId) => number,
  quorum: (voters: number) => number = majority,
): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  const values = voters.map(valueFor).sort((a, b) => b - a);
  return values[quorum(voters.length) - 1]!;
}

export type VoteState = 'won' | 'lost' | 'open';

/** `lost`: so many refused that no quorum can come any more. */
export function voteState(
  voters: readonly MemberId[],
  votes: ReadonlyMap<MemberId, boolean>,
  quorum: (voters: number) => number = majority,
): VoteState {
  if (voters.length === 0) return 'won';
  const needed = quorum(voters.length);
  let granted = 0;
  let refused = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === true) granted += 1;
    if (vote === false) refused += 1;
  }
  if (granted >= needed) return 'won';
  return voters.length - refused < needed ? 'lost' : 'open';
}

/** How many voters are in one of two configurations only. Quorums are sure to meet if it is at most 1. */
export function votersApart(a: Config, b: Config): number {
  const only = (x: Config, y: Config): number => x.voters.filter((voter) => !y.voters.includes(voter)).length;
  return only(a, b) + only(b, a);
}
