/**
 * What a step wants done, collected until the driver takes it. Every datagram carries as much waiting gossip as fits
 * behind what it has to say.
 */
import type { Millis } from '../../base/ids.ts';
import type { Awareness } from './awareness.ts';
import { headBytes } from './codec.ts';
import type { GossipQueue } from './gossip-queue.ts';
import type { MemberList } from './member-list.ts';
import {
  datagramBytesMax,
  type Message,
  type OutDatagram,
  type Sender,
  type StreamAnswer,
  type StreamReply,
  type StreamRequest,
  type StreamToOpen,
  type SwimOutput,
  type Update,
} from './messages.ts';
import type { Address, SwimEvent } from './model.ts';
import type { Self } from './self.ts';
import { updateBytes } from './words.ts';

export interface SendOptions {
  /** Must be in this datagram, whatever else is. */
  readonly first?: readonly Update[];
  /** No waiting gossip: the receiver has not shown yet that it is a member. */
  readonly bare?: boolean;
}

export interface OutboxParts {
  readonly self: Self;
  readonly list: MemberList;
  readonly queue: GossipQueue;
  readonly awareness: Awareness;
}

export class Outbox {
  readonly #parts: OutboxParts;
  #datagrams: OutDatagram[] = [];
  #open: StreamToOpen[] = [];
  #replies: StreamReply[] = [];
  #events: SwimEvent[] = [];
  #lastStream = 0;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  take(): SwimOutput {
    const output = { datagrams: this.#datagrams, open: this.#open, replies: this.#replies, events: this.#events };
    this.#datagrams = [];
    this.#open = [];
    this.#replies = [];
    this.#events = [];
    return output;
  }

  sender(): Sender {
    return this.#parts.self.sender(this.#parts.awareness.score);
  }

  event(event: SwimEvent): void {
    this.#events.push(event);
  }

  send(to: Address, message: Message, options: SendOptions = {}): void {
    const sender = this.sender();
    const first = options.first ?? [];
    let bytes = headBytes(sender, message);
    for (const update of first) bytes += updateBytes(update);
    let updates = first;
    if (options.bare !== true && this.#parts.self.gossips && this.#parts.queue.size > 0) {
      // What stands in front may wait in the queue, too: said twice it does no harm.
      const taken = this.#parts.queue.take(datagramBytesMax - bytes, this.#parts.list.living + 1);
      updates = first.length === 0 ? taken.updates : [...first, ...taken.updates];
      bytes += taken.bytes;
    }
    this.#datagrams.push({ to, datagram: { sender, message, updates }, bytes });
  }

  /** Returns the stream's number. */
  open(to: Address, request: StreamRequest, timeoutMs: Millis): number {
    this.#lastStream++;
    this.#open.push({ stream: this.#lastStream, to, request, timeoutMs });
    return this.#lastStream;
  }

  reply(stream: number, answer: StreamAnswer): void {
    this.#replies.push({ stream, answer });
  }
}
