/**
 * What to do with what came in: whose word it is, what it says of members, and what it asks for.
 *
 * Who is not known as a member gets no more than it sent: an ack without gossip, no probe on its behalf. A stream is
 * another matter: its opener has shown that it is where it says.
 */
import { assertNever } from '../../base/assert.ts';
import type { Millis } from '../../base/ids.ts';
import type { Beliefs } from './beliefs.ts';
import type { Core, Hearing } from './core.ts';
import type { Member } from './member-list.ts';
import type { Datagram, Message, StreamAnswer, StreamRequest, Subject, Update } from './messages.ts';
import type { Address } from './model.ts';
import { accusationOf, type Probes } from './probes.ts';
import type { Relays } from './relays.ts';
import type { Seeds } from './seeds.ts';
import type { Streams } from './streams.ts';
import type { SyncRequest, Syncs } from './syncs.ts';

export interface InboxParts {
  readonly beliefs: Beliefs;
  readonly streams: Streams;
  readonly probes: Probes;
  readonly relays: Relays;
  readonly syncs: Syncs;
  readonly seeds: Seeds;
  readonly nextSeq: () => number;
  /** This member has met the cluster. */
  readonly met: (now: Millis) => void;
}

export class Inbox {
  readonly #core: Core;
  readonly #parts: InboxParts;

  constructor(core: Core, parts: InboxParts) {
    this.#core = core;
    this.#parts = parts;
  }

  datagram(from: Address, datagram: Datagram, now: Millis): void {
    const { sender, message, updates } = datagram;
    // Our own frame that came back, or a copy of this process: an ack to ourselves proves nothing.
    if (sender.id === this.#core.self.claim.id) return this.#refuse('misdirected');
    const accused = this.#isAccused(updates);
    const hearing = { now, quiet: this.#core.self.phase !== 'active' };
    for (const update of updates) this.#believe(update, hearing);
    const peer = this.#parts.beliefs.hear(sender, now);
    this.#answer(message, { from, peer, now, accused });
  }

  request(stream: number, request: StreamRequest, now: Millis): void {
    const { outbox, self } = this.#core;
    const sender = outbox.sender();
    switch (request.kind) {
      case 'ping':
        this.#parts.beliefs.hear(request.sender, now);
        if (request.target !== self.claim.id) return this.#refuse('misdirected');
        return outbox.reply(stream, { kind: 'ack', sender });
      case 'compare': {
        const peer = this.#parts.beliefs.hear(request.sender, now);
        const same = peer?.living === true && this.#parts.syncs.agrees(request.digest);
        return outbox.reply(stream, { kind: same ? 'same' : 'differs', sender });
      }
      case 'sync':
        return this.#syncRequested(stream, request, now);
      default:
        assertNever(request, 'request');
    }
  }

  answer(stream: number, answer: StreamAnswer, now: Millis): void {
    const { probes, streams, syncs, seeds, beliefs } = this.#parts;
    const purpose = streams.end(stream);
    if (purpose === undefined) return;
    beliefs.hear(answer.sender, now);
    if (purpose.kind === 'probe') {
      if (answer.kind === 'ack') probes.streamAcked(stream, answer.sender.id);
    } else if (purpose.kind === 'compare') {
      if (answer.kind === 'differs' && !this.#core.self.gone) syncs.sync(purpose.address, now);
    } else {
      const merged = answer.kind === 'sync' && this.#merge(answer, now);
      if (purpose.kind !== 'seed') return;
      if (merged || answer.sender.id === this.#core.self.claim.id) seeds.answered(purpose.seed, answer.sender.id, now);
      else seeds.failed(purpose.seed, now);
    }
  }

  failed(stream: number, now: Millis): void {
    const purpose = this.#parts.streams.end(stream);
    // A fallback probe that failed is no news, nor is a sync: the next one goes to another member.
    if (purpose?.kind === 'seed') this.#parts.seeds.failed(purpose.seed, now);
  }

  #syncRequested(stream: number, request: SyncRequest, now: Millis): void {
    const { self, outbox } = this.#core;
    // A member that names itself as its seed learns so from the id in the answer.
    if (request.sender.id !== self.claim.id && !self.gone) this.#merge(request, now);
    this.#parts.beliefs.hear(request.sender, now);
    outbox.reply(stream, this.#parts.syncs.answer());
  }

  /** True if the peer stands as a member. The first such merge ends this member's join. */
  #merge(told: Parameters<Syncs['merge']>[0], now: Millis): boolean {
    const { self } = this.#core;
    if (self.gone || told.sender.id === self.claim.id) return false;
    const merged = this.#parts.syncs.merge(told, { now, quiet: self.phase === 'joining' });
    if (merged) this.#parts.met(now);
    return merged;
  }

  #believe(update: Update, hearing: Hearing): void {
    const { beliefs } = this.#parts;
    switch (update.kind) {
      case 'alive':
        return beliefs.alive(update.claim, hearing);
      case 'suspect':
        return beliefs.suspect(update.subject, update.by, hearing);
      case 'dead':
        return beliefs.dead(update.subject, update.by, hearing);
      case 'left':
        return beliefs.left(update.subject, hearing);
      case 'sight':
        return beliefs.sight(update, hearing);
      default:
        assertNever(update, 'update');
    }
  }

  #answer(
    message: Message,
    context: {
      readonly from: Address;
      readonly peer: Member | undefined;
      readonly now: Millis;
      readonly accused: boolean;
    },
  ): void {
    const { from, peer, now } = context;
    switch (message.kind) {
      case 'gossip':
        return;
      case 'ping':
        return this.#answerPing(message, context);
      case 'relay': {
        if (peer?.living !== true) return this.#refuse('stranger');
        const target = this.#core.list.get(message.target);
        const seq = this.#parts.nextSeq();
        return this.#parts.relays.ask({ asker: from, askedSeq: message.seq, target, seq, now });
      }
      case 'ack':
        if (peer === undefined) return this.#refuse('stranger');
        // It does not know us, or holds against us what we refuted long ago.
        if (message.stranger || context.accused) this.#introduce(from);
        this.#parts.probes.acked(message.seq, peer.claim.id);
        return this.#parts.relays.acked(message.seq, peer.claim.id);
      case 'nack':
        if (peer === undefined) return this.#refuse('stranger');
        return this.#parts.probes.nacked(message.seq, peer.claim.id);
      default:
        assertNever(message, 'message');
    }
  }

  #answerPing(
    message: Extract<Message, { kind: 'ping' }>,
    context: { readonly from: Address; readonly peer: Member | undefined; readonly accused: boolean },
  ): void {
    const { self, outbox } = this.#core;
    const { from, peer, accused } = context;
    if (message.target.id !== self.claim.id) return this.#refuse('misdirected');
    if (peer === undefined) return outbox.send(from, { kind: 'ack', seq: message.seq, stranger: true }, { bare: true });
    // Tell the sender what is held against it; and if it accused us, or missed our last word, that word first of all.
    const first: Update[] = [...accusationOf(peer)];
    if ((accused || isOlder(message.target, self.claim)) && !self.gone)
      first.push({ kind: 'alive', claim: self.claim });
    outbox.send(from, { kind: 'ack', seq: message.seq, stranger: false }, { first });
  }

  /** To a member that missed our coming. */
  #introduce(to: Address): void {
    const { self, outbox } = this.#core;
    if (self.phase !== 'active') return;
    outbox.send(to, { kind: 'gossip' }, { first: [{ kind: 'alive', claim: self.claim }] });
  }

  #isAccused(updates: readonly Update[]): boolean {
    const own = this.#core.self.claim.id;
    return updates.some((update) => (update.kind === 'suspect' || update.kind === 'dead') && update.subject.id === own);
  }

  #refuse(reason: 'stranger' | 'misdirected'): void {
    this.#core.counts.refused[reason]++;
  }
}

const isOlder = (known: Subject, own: Subject): boolean =>
  known.boot < own.boot || (known.boot === own.boot && known.incarnation < own.incarnation);
