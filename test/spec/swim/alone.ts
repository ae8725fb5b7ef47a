/**
 * One real machine, m0, and a test that plays all the others by hand. Time is driven to each wake, so that everything
 * happens when it is due. Chance is seeded; rules are stated so that they hold for every seed.
 */
import type { Millis } from '../../../src/base/ids.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type {
  Message,
  OutDatagram,
  Sender,
  StreamReply,
  StreamRequest,
  StreamToOpen,
  SwimInput,
  Update,
} from '../../../src/cluster/swim/messages.ts';
import type { Address, MemberView, SwimEvent } from '../../../src/cluster/swim/model.ts';
import type { SwimSettings } from '../../../src/cluster/swim/settings.ts';
import { Swim } from '../../../src/cluster/swim/swim.ts';
import { addressOf, claimOf, idOf, metadata } from '../../cluster/swim/world.ts';

export interface Sent extends OutDatagram {
  readonly at: Millis;
}

export class Alone {
  readonly swim: Swim;
  now: Millis = 0;
  sent: Sent[] = [];
  opened: (StreamToOpen & { readonly at: Millis })[] = [];
  replies: StreamReply[] = [];
  events: SwimEvent[] = [];
  /** Called for each datagram that m0 sends: the place to play the others. */
  onSent: (sent: Sent) => void = () => {};

  constructor(options: { seed?: number; settings?: Partial<SwimSettings>; boot?: number } = {}) {
    const self = { id: idOf(0), boot: options.boot ?? 1, name: 'm0', address: addressOf(0), metadata };
    this.swim = new Swim({ self, settings: options.settings ?? {} }, seededRandom(options.seed ?? 1));
  }

  /** m0 active, and `others` more members known to it; what it said until then is forgotten. */
  static among(others: number, options: ConstructorParameters<typeof Alone>[0] = {}): Alone {
    const alone = new Alone(options);
    alone.give({ kind: 'join', seeds: [] });
    for (let n = 1; n <= others; n++) alone.gossip(n, { kind: 'alive', claim: claimOf(n) });
    alone.quiet();
    return alone;
  }

  give(input: SwimInput): void {
    this.swim.step(this.now, input);
    this.#collect();
  }

  /** A datagram from member n. */
  hear(n: number, message: Message, ...updates: readonly Update[]): void {
    this.hearFrom({ id: idOf(n), boot: 1, incarnation: 1, score: 0 }, message, ...updates);
  }

  hearFrom(sender: Sender, message: Message, ...updates: readonly Update[]): void {
    const from = addressOf(Number.parseInt(sender.id, 16) - 1);
    this.give({ kind: 'datagram', from, datagram: { sender, message, updates } });
  }

  gossip(n: number, ...updates: readonly Update[]): void {
    this.hear(n, { kind: 'gossip' }, ...updates);
  }

  request(stream: number, request: StreamRequest): StreamReply | undefined {
    this.give({ kind: 'request', stream, request });
    return this.replies.find((reply) => reply.stream === stream);
  }

  /** Every ping is answered by its target, but of those in `silent`. */
  answerPings(silent: readonly number[] = []): this {
    const deaf = new Set(silent.map(addressOf));
    this.onSent = (sent) => {
      const { message } = sent.datagram;
      if (message.kind !== 'ping' || deaf.has(sent.to)) return;
      this.hear(numberOf(sent.to), ackOf(message.seq));
    };
    return this;
  }

  run(ms: Millis): this {
    const end = this.now + ms;
    while (this.swim.wakeAt() <= end) {
      this.now = Math.max(this.now, this.swim.wakeAt());
      this.give({ kind: 'tick' });
    }
    this.now = end;
    return this;
  }

  /** Runs until m0 sends what is looked for, and returns it. */
  next(kind: Message['kind'], deadline: Millis = 60_000): Sent {
    const from = this.sent.length;
    const end = this.now + deadline;
    for (;;) {
      const found = this.sent.slice(from).find((sent) => sent.datagram.message.kind === kind);
      if (found !== undefined) return found;
      if (this.swim.wakeAt() > end) throw new Error(`no ${kind} within ${deadline} ms`);
      this.now = Math.max(this.now, this.swim.wakeAt());
      this.give({ kind: 'tick' });
    }
  }

  quiet(): void {
    this.sent = [];
    this.opened = [];
    this.replies = [];
    this.events = [];
  }

  of(kind: Message['kind']): Sent[] {
    return this.sent.filter((sent) => sent.datagram.message.kind === kind);
  }

  /** All updates of a kind that were sent. */
  told<K extends Update['kind']>(kind: K): Extract<Update, { kind: K }>[] {
    const updates = this.sent.flatMap((sent) => sent.datagram.updates);
    return updates.filter((update): update is Extract<Update, { kind: K }> => update.kind === kind);
  }

  event<K extends SwimEvent['kind']>(kind: K): Extract<SwimEvent, { kind: K }>[] {
    return this.events.filter((event): event is Extract<SwimEvent, { kind: K }> => event.kind === kind);
  }

  view(n: number): MemberView | undefined {
    return this.swim.members().find((member) => member.claim.id === idOf(n));
  }

  get self(): MemberView {
    return this.swim.members()[0]!;
  }

  #collect(): void {
    const output = this.swim.take();
    const sent = output.datagrams.map((datagram) => ({ ...datagram, at: this.now }));
    this.sent.push(...sent);
    this.opened.push(...output.open.map((open) => ({ ...open, at: this.now })));
    this.replies.push(...output.replies);
    this.events.push(...output.events);
    for (const one of sent) this.onSent(one);
  }
}

export const numberOf = (address: Address): number => {
  const [, b = 0, c = 0, d = 0] = address.split(/[.:]/).map(Number);
  return b * 65_536 + c * 256 + d;
};

export const suspect = (n: number, by: number, incarnation = 1): Update => ({
  kind: 'suspect',
  subject: { id: idOf(n), boot: 1, incarnation },
  by: idOf(by),
});

export const dead = (n: number, by: number, incarnation = 1): Update => ({
  kind: 'dead',
  subject: { id: idOf(n), boot: 1, incarnation },
  by: idOf(by),
});

export const alive = (n: number, incarnation = 1): Update => ({ kind: 'alive', claim: claimOf(n, { incarnation }) });

/** A ping for member n, by what member 1 and most tests know of it. */
export const pingTo = (n: number, seq: number, incarnation = 1): Message => ({
  kind: 'ping',
  seq,
  target: { id: idOf(n), boot: 1, incarnation },
});

export const ackOf = (seq: number): Message => ({ kind: 'ack', seq, stranger: false });
