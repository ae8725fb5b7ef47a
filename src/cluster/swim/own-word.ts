/**
 * What others say of this member. An accusation is refuted: a new claim with an incarnation above the accused one goes
 * out, and since a healthy member is seldom accused, it counts against the own health (Lifeguard). An accusation that
 * leaps too far ahead was never earned by any claim of ours; it is ignored here as everywhere, so that the incarnation
 * can't be driven to its end.
 */
import type { Millis } from '../../base/ids.ts';
import type { Conflicts } from './conflicts.ts';
import { type Core, leapMax } from './core.ts';
import type { Subject } from './messages.ts';
import type { Claim } from './model.ts';

export function heardAccusation(core: Core, subject: Subject, was: 'suspect' | 'dead'): void {
  const { self, queue, counts, awareness, outbox } = core;
  const { boot, incarnation } = self.claim;
  // An accusation of an earlier boot is answered by the claim of this one, which is on its way.
  if (self.gone || subject.boot !== boot || subject.incarnation < incarnation) return;
  if (subject.incarnation > incarnation + leapMax) {
    counts.refused.leap++;
    return;
  }
  self.overrule(subject.incarnation);
  awareness.add(1);
  counts.refutations++;
  outbox.event({ kind: 'refuted', claim: self.claim, was });
  queue.add({ kind: 'alive', claim: self.claim });
}

/** A claim under this member's id: an echo, another process with a copy of its id, or a forgery. */
export function heardOwnClaim(
  core: Core,
  conflicts: Conflicts,
  heard: { readonly claim: Claim; readonly now: Millis },
): void {
  const { self, counts, queue } = core;
  const own = self.claim;
  const { claim, now } = heard;
  if (self.gone || claim.boot < own.boot) return;
  const foreign = claim.boot > own.boot || claim.name !== own.name || claim.address !== own.address;
  if (foreign) conflicts.refuse('id', own, { claimed: claim, now });
  if (claim.boot > own.boot || claim.incarnation < own.incarnation) return;
  if (claim.incarnation > own.incarnation + leapMax) counts.refused.leap++;
  else if (foreign || claim.incarnation > own.incarnation) {
    self.overrule(claim.incarnation);
    queue.add({ kind: 'alive', claim: self.claim });
  }
}
