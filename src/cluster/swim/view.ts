/** Members as shown to the rooms above. */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Core } from './core.ts';
import type { Member } from './member-list.ts';
import type { MemberState, MemberView } from './model.ts';

export function viewOf(member: Member): MemberView {
  const { claim, status, since, heardAt, score, reach, blindTo } = member;
  return { claim, status, state: stateOf(member), since, heardAt, healthScore: score, reach, blindTo, self: false };
}

/** A suspect is still shown as what it was: only its death takes it out. */
function stateOf(member: Member): MemberState {
  if (member.status === 'left') return 'LEAVING';
  if (member.status === 'dead') return 'UNREACHABLE';
  return member.claim.joining ? 'JOINING' : 'ACTIVE';
}

export function viewOfSelf(core: Core, own: { blindTo: readonly MemberId[]; since: Millis }): MemberView {
  const { self, awareness } = core;
  const state = self.gone ? 'LEAVING' : self.phase === 'joining' ? 'JOINING' : 'ACTIVE';
  return {
    claim: self.claim,
    status: self.gone ? 'left' : 'alive',
    state,
    since: own.since,
    heardAt: Number.POSITIVE_INFINITY,
    healthScore: awareness.score,
    reach: 'direct',
    blindTo: own.blindTo,
    self: true,
  };
}
