/**
 * Passing on (SWIM 4.1): every 200 ms three random members get what waits, as long as something waits. The dead are
 * among them for 30 s, so that one that lives learns what is said of it. Here a leave is told, too: it is done when its
 * update was sent often enough.
 */
import type { Millis } from '../../base/ids.ts';
import type { Core } from './core.ts';
import type { Member } from './member-list.ts';

export class Gossip {
  readonly #core: Core;
  #nextAt: Millis = Number.NEGATIVE_INFINITY;
  #departAt: Millis = Number.POSITIVE_INFINITY;

  constructor(core: Core) {
    this.#core = core;
  }

  wakeAt(): Millis {
    const { queue, self } = this.#core;
    const next = queue.size > 0 && self.gossips ? this.#nextAt : Number.POSITIVE_INFINITY;
    return self.phase === 'leaving' ? Math.min(next, this.#departAt) : next;
  }

  tellSelf(): void {
    const { queue, self } = this.#core;
    if (self.phase === 'active') queue.add({ kind: 'alive', claim: self.claim });
  }

  tellLeave(now: Millis): void {
    const { queue, self, settings } = this.#core;
    queue.add({ kind: 'left', subject: self.subject() });
    this.#departAt = now + settings.leaveMs;
  }

  tick(now: Millis): void {
    const { queue, self } = this.#core;
    if (self.gossips && queue.size > 0 && this.#nextAt <= now) this.#round(now);
    if (self.phase === 'leaving' && this.#isDone(now)) {
      self.become('departed');
      this.#core.outbox.event({ kind: 'departed' });
    }
  }

  #round(now: Millis): void {
    const { settings, list, queue, outbox } = this.#core;
    this.#nextAt = now + settings.gossipIntervalMs;
    const reachable = (member: Member): boolean =>
      member.living || (member.status === 'dead' && now - member.since <= settings.gossipToDeadMs);
    const targets = list.pick(settings.gossipFanout, reachable);
    // Nobody is there to tell: who comes gets the whole list.
    if (targets.length === 0) queue.clear();
    for (const member of targets) {
      if (queue.size === 0) return;
      outbox.send(member.claim.address, { kind: 'gossip' });
    }
  }

  #isDone(now: Millis): boolean {
    const { queue, self, list } = this.#core;
    return this.#departAt <= now || list.living === 0 || !queue.tells(self.claim.id);
  }
}
