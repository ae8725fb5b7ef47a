/**
 * Proposals: taking them in, and answering when they are applied here; a strong one when everybody who may answer
 * reads has applied it. What a leader leaves unanswered is unknown, never failed: a later leader may commit it.
 */
import type { Outcome, Refusal } from './contract.ts';
import type { Core } from './core.ts';
import { appendOwn } from './leading.ts';
import { strongAt } from './leases.ts';
import type { LeaderRole } from './role-state.ts';

export const refusalOf = (core: Core, why: Refusal): Outcome => ({ kind: 'refused', why, leader: core.leader });

export function propose(
  core: Core,
  input: { readonly id: number; readonly data: Uint8Array; readonly strong?: boolean },
): void {
  const { id, data, strong = false } = input;
  const why = whyNot(core, data.byteLength);
  if (why !== null) {
    core.out.proposals.push({ id, outcome: refusalOf(core, why) });
    return;
  }
  const leader = core.role as LeaderRole;
  const { index } = appendOwn(core, { kind: 'data', data });
  leader.proposals.push({ id, index, size: data.byteLength, strong });
  leader.uncommitted += data.byteLength;
}

function whyNot(core: Core, size: number): Refusal | null {
  const { role, settings } = core;
  if (role.at !== 'leader') return 'not-leader';
  if (role.transfer !== null) return 'transferring';
  if (size > settings.maxEntryBytes) return 'too-large';
  return role.uncommitted > 0 && role.uncommitted + size > settings.maxUncommittedBytes ? 'busy' : null;
}

/** The commit index moved from `before`: those bytes don't count as under way any more. */
export function noteCommitted(core: Core, leader: LeaderRole, before: number): void {
  for (const one of leader.proposals) {
    if (one.index > core.commit) break;
    if (one.index > before) leader.uncommitted -= one.size;
  }
}

export function answerProposals(core: Core, leader: LeaderRole): void {
  if ((leader.proposals[0]?.index ?? Number.POSITIVE_INFINITY) > core.applied) return;
  leader.proposals = leader.proposals.filter((one) => {
    if (one.index > core.applied) return true;
    if (one.strong && strongAt(core, leader, one.index) > core.now) return true;
    core.out.proposals.push({ id: one.id, outcome: { kind: 'committed', index: one.index, term: core.term } });
    return false;
  });
}

/** When a strong proposal can be answered at the latest; Infinity if none waits for that. */
export function strongWakeAt(core: Core, leader: LeaderRole): number {
  const waiting = leader.proposals.findLast((one) => one.strong && one.index <= core.applied);
  return waiting === undefined ? Number.POSITIVE_INFINITY : strongAt(core, leader, waiting.index);
}
