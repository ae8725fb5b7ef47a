/**
 * Read leases: who may answer reads from its own state, and until when.
 *
 *   follower                    leader
 *   reply, "it is 100 here" -->  came at 7000
 *                                a round begun at 7010 is answered by a quorum: so it led after 7000
 *   until 100 + lease       <--  grant for "100", once you have applied what is committed now
 *
 * A follower's lease counts from its own request, on its own clock, so no delay of a message can lengthen it. The
 * leader notes for each until when it may read: request's arrival + lease + drift. A `strong` write is answered when
 * every member has applied it or may not read any more; a member that lags gets no new lease, and so holds it up for
 * one lease at most.
 *
 * A new leader does not know its predecessor's grants. It takes the latest time at which any of its voters had
 * acknowledged a leader: a grant rests on a round that a quorum answered after the request, and that quorum shares a
 * voter with the one that elected it.
 *
 * The leader's own lease counts from when a confirmed round was sent.
 */
import type { Millis } from '../../base/ids.ts';
import type { Core } from './core.ts';
import type { Heartbeat, HeartbeatReply, ReadGrant } from './messages.ts';
import { type Index, isMember, type MemberId } from './model.ts';
import { withDrift } from './options.ts';
import type { Progress } from './progress.ts';
import type { LeaderRole } from './role-state.ts';

/** Requests that wait for a round; more than these are rounds that nobody answers. */
const asksKept = 8;

export function onAsk(core: Core, peer: Progress, message: HeartbeatReply): void {
  peer.asks.push({ askedAt: message.askedAt, boot: message.boot, receivedAt: core.now });
  if (peer.asks.length > asksKept) peer.asks.shift();
}

export function grantFor(core: Core, leader: LeaderRole, to: MemberId, peer: Progress): ReadGrant | null {
  const { ready } = peer;
  // One that is being left out is waited for from when its removal was written, so it gets nothing after.
  if (ready === null || !isMember(core.config, to)) return null;
  if (!isReady(core, leader) || !keepsLease(core, leader)) return null;
  if (peer.applied < leader.commitBefore) return null;
  peer.mayReadUntil = Math.max(
    peer.mayReadUntil,
    ready.receivedAt + withDrift(core.settings, core.settings.readLeaseMs),
  );
  return { askedAt: ready.askedAt, boot: ready.boot, index: core.commit };
}

export function onGrant(core: Core, { grant }: Heartbeat): void {
  if (grant === null || grant.boot !== core.settings.boot || grant.askedAt > core.now) return;
  // Asked for before a sleep, answered after it: by our clock it is as long as if there had been none.
  if (grant.askedAt <= core.distrustedUntil) return;
  const until = grant.askedAt + core.settings.readLeaseMs;
  if (until > core.readable.until) core.readable = { until, index: Math.max(core.readable.index, grant.index) };
}

/** An entry of its own term is committed: it knows all that is. */
export const isReady = (core: Core, leader: LeaderRole): boolean =>
  core.rules.mayAnswerReads(core.commit >= leader.noop);

export const keepsLease = (core: Core, leader: LeaderRole): boolean => core.rules.keepsLease(leader.transfer !== null);

/** Until when this member may answer from its own state; in the past if it may not. */
export function readableUntil(core: Core): Millis {
  const { role } = core;
  if (role.at === 'candidate') return Number.NEGATIVE_INFINITY;
  if (role.at === 'follower')
    return core.applied >= core.readable.index ? core.readable.until : Number.NEGATIVE_INFINITY;
  const ready = isReady(core, role) && keepsLease(core, role) && core.applied >= role.noop;
  return ready ? role.rounds.leaseFrom + core.settings.readLeaseMs : Number.NEGATIVE_INFINITY;
}

/** When a strong write at `index` may be answered, as far as is known now; Infinity is never asked for. */
export function strongAt(core: Core, leader: LeaderRole, index: Index): Millis {
  let at = core.othersUntil;
  for (const peer of leader.peers.values()) {
    if (core.rules.strongWaitsFor(peer.applied, index, peer.mayReadUntil, core.now))
      at = Math.max(at, peer.mayReadUntil);
  }
  return at;
}

/** Members but the leader that may hold a read lease now. */
export function holders(core: Core, now: Millis): readonly MemberId[] {
  if (core.role.at !== 'leader') return [];
  return [...core.role.peers].filter(([, peer]) => peer.mayReadUntil > now).map(([id]) => id);
}
