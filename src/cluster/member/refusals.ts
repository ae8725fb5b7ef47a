/** What the leader refuses, as the rooms above are told it. */
import type { CallError } from './contract.ts';
import type { ToldRefusal } from './words.ts';

/** It may be otherwise soon. */
export const isPassing = (why: ToldRefusal): boolean =>
  why === 'not-leader' || why === 'transferring' || why === 'change-pending' || why === 'busy';

export function refusedChange(why: ToldRefusal): CallError {
  if (why === 'unsupported' || why === 'malformed') return { kind: 'unsupported' };
  return { kind: 'change-refused', why: why === 'not-member' ? 'not-leader' : why };
}
