/**
 * Probes that others asked this member to make for them. An answer goes back as ack; silence as nack, which tells the
 * asker that at least this helper works (Lifeguard). Only members are helped, and only members are probed, at addresses
 * that this member knows itself.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Core } from './core.ts';
import { type Member, subjectOf } from './member-list.ts';
import type { Address } from './model.ts';

interface Relay {
  readonly target: MemberId;
  readonly asker: Address;
  readonly askedSeq: number;
  readonly nackAt: Millis;
  readonly endAt: Millis;
  nacked: boolean;
}

const relaysMax = 1024;

export class Relays {
  readonly #core: Core;
  /** By the number of our own ping, oldest first. */
  readonly #bySeq = new Map<number, Relay>();

  constructor(core: Core) {
    this.#core = core;
  }

  ask(request: { asker: Address; askedSeq: number; target: Member | undefined; seq: number; now: Millis }): void {
    const { asker, askedSeq, target, seq, now } = request;
    const { settings, outbox } = this.#core;
    if (target === undefined || this.#bySeq.size >= relaysMax) {
      outbox.send(asker, { kind: 'nack', seq: askedSeq });
      return;
    }
    const nackAt = now + settings.probeTimeoutMs * settings.nackAfter;
    const endAt = now + settings.probeTimeoutMs * 2;
    this.#bySeq.set(seq, { target: target.claim.id, asker, askedSeq, nackAt, endAt, nacked: false });
    outbox.send(target.claim.address, { kind: 'ping', seq, target: subjectOf(target.claim) });
  }

  /** An ack to one of our pings. */
  acked(seq: number, from: MemberId): void {
    const relay = this.#bySeq.get(seq);
    if (relay === undefined || relay.target !== from) return;
    this.#bySeq.delete(seq);
    this.#core.outbox.send(relay.asker, { kind: 'ack', seq: relay.askedSeq, stranger: false });
  }

  tick(now: Millis): void {
    for (const [seq, relay] of this.#bySeq) {
      if (relay.nackAt > now) break;
      if (!relay.nacked) {
        relay.nacked = true;
        this.#core.outbox.send(relay.asker, { kind: 'nack', seq: relay.askedSeq });
      }
      if (relay.endAt <= now) this.#bySeq.delete(seq);
    }
  }

  wakeAt(): Millis {
    let at = Number.POSITIVE_INFINITY;
    for (const relay of this.#bySeq.values()) {
      at = Math.min(at, relay.nacked ? relay.endAt : relay.nackAt);
      if (!relay.nacked) break;
    }
    return at;
  }
}
