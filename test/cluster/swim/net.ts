/**
 * A virtual network and clock under real membership machines. Nothing waits: events lie in a heap by time.
 *
 * Datagrams are lost, delayed, doubled and overtake each other. Streams are reliable and slow where packets are lost:
 * a lost packet of the handshake costs a second, one of the data 200 ms. A member can be cut off in one direction, be
 * paused (its inputs wait in its sockets), crash and start again. With `codec`, everything passes as bytes.
 */
import type { Millis } from '../../../src/base/ids.ts';
import type { Random } from '../../../src/base/random.ts';
import { TimeHeap } from '../../../src/base/time-heap.ts';
import {
  decodeAnswer,
  decodeDatagram,
  decodeRequest,
  encodeAnswer,
  encodeDatagram,
  encodeRequest,
} from '../../../src/cluster/swim/codec.ts';
import {
  type Datagram,
  datagramBytesMax,
  type OutDatagram,
  type StreamAnswer,
  type StreamReply,
  type StreamRequest,
  type StreamToOpen,
  type SwimInput,
} from '../../../src/cluster/swim/messages.ts';
import type { Address, SwimEvent } from '../../../src/cluster/swim/model.ts';
import type { Swim } from '../../../src/cluster/swim/swim.ts';

export interface Faults {
  /** Share of packets lost. */
  loss: number;
  delayMs: readonly [Millis, Millis];
  /** Share of datagrams that come twice. */
  duplicate: number;
  /** Packets from one address to another that never arrive. */
  blocked: (from: Address, to: Address) => boolean;
}

export class Host {
  readonly address: Address;
  readonly swim: Swim;
  running = true;
  paused = false;
  /** When the next wake lies in the heap. */
  wakeAt: Millis = Number.POSITIVE_INFINITY;
  bytesSent = 0;
  datagramsSent = 0;
  streamsOpened = 0;
  /** Inputs that wait while it is paused. */
  readonly waiting: SwimInput[] = [];
  /** Streams opened here by others: what the answer goes to. */
  readonly inbound = new Map<number, { opener: Host; stream: number }>();
  /** Streams of ours that were not answered yet. */
  readonly outbound = new Set<number>();

  constructor(address: Address, swim: Swim) {
    this.address = address;
    this.swim = swim;
  }
}

type NetEvent =
  | { readonly kind: 'wake'; readonly host: Host }
  | { readonly kind: 'input'; readonly host: Host; readonly input: SwimInput }
  | { readonly kind: 'connect'; readonly to: Address; readonly opener: Host; readonly open: StreamToOpen }
  | { readonly kind: 'end'; readonly host: Host; readonly stream: number; readonly answer: StreamAnswer | null }
  | { readonly kind: 'call'; readonly call: () => void };

/** Datagrams that fit into a paused member's socket. */
const socketBuffer = 200;

export class Net {
  now: Millis = 0;
  readonly hosts = new Map<Address, Host>();
  readonly faults: Faults = { loss: 0, delayMs: [0.2, 2], duplicate: 0, blocked: () => false };
  onEvent: (host: Host, event: SwimEvent) => void = () => {};
  readonly #random: Random;
  readonly #codec: boolean;
  readonly #heap = new TimeHeap<NetEvent>();
  #lastStream = 0;

  constructor(random: Random, options: { readonly codec: boolean }) {
    this.#random = random;
    this.#codec = options.codec;
  }

  add(address: Address, swim: Swim): Host {
    const host = new Host(address, swim);
    this.hosts.set(address, host);
    return host;
  }

  /** An input of the host's own process, now. */
  give(host: Host, input: SwimInput): void {
    if (host.running) this.#step(host, input);
  }

  at(time: Millis, call: () => void): void {
    this.#heap.push(Math.max(time, this.now), { kind: 'call', call });
  }

  runUntil(time: Millis): void {
    while (this.#heap.peekAt() <= time) {
      this.now = Math.max(this.now, this.#heap.peekAt());
      this.#handle(this.#heap.pop()!);
    }
    this.now = time;
  }

  crash(host: Host): void {
    host.running = false;
    if (this.hosts.get(host.address) === host) this.hosts.delete(host.address);
  }

  pause(host: Host): void {
    host.paused = true;
  }

  /** Timers are handled first, as an event loop does, then what waited in the sockets. */
  resume(host: Host): void {
    host.paused = false;
    host.wakeAt = Number.POSITIVE_INFINITY;
    this.#step(host, { kind: 'tick' });
    for (const input of host.waiting.splice(0)) this.#step(host, input);
  }

  #handle(event: NetEvent): void {
    switch (event.kind) {
      case 'wake':
        // A wake that was overtaken by an earlier one is dropped.
        if (event.host.wakeAt > this.now || !event.host.running || event.host.paused) return;
        event.host.wakeAt = Number.POSITIVE_INFINITY;
        return this.#step(event.host, { kind: 'tick' });
      case 'input':
        return this.#deliver(event.host, event.input);
      case 'connect':
        return this.#connect(event);
      case 'end':
        return this.#end(event.host, event.stream, event.answer);
      case 'call':
        return event.call();
    }
  }

  #deliver(host: Host, input: SwimInput): void {
    if (!host.running) return;
    if (!host.paused) return this.#step(host, input);
    if (host.waiting.length < socketBuffer) host.waiting.push(input);
  }

  #step(host: Host, input: SwimInput): void {
    host.swim.step(this.now, input);
    const output = host.swim.take();
    for (const out of output.datagrams) this.#send(host, out);
    for (const open of output.open) this.#open(host, open);
    for (const reply of output.replies) this.#reply(host, reply);
    for (const event of output.events) this.onEvent(host, event);
    const wakeAt = host.swim.wakeAt();
    if (wakeAt >= host.wakeAt || wakeAt === Number.POSITIVE_INFINITY) return;
    host.wakeAt = wakeAt;
    this.#heap.push(wakeAt, { kind: 'wake', host });
  }

  #delay(): Millis {
    const [min, max] = this.faults.delayMs;
    return min + this.#random.next() * (max - min);
  }

  #send(from: Host, out: OutDatagram): void {
    from.bytesSent += out.bytes;
    from.datagramsSent++;
    const datagram = this.#codec ? this.#throughBytes(out) : out.datagram;
    const copies = this.faults.duplicate > 0 && this.#random.next() < this.faults.duplicate ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.#random.next() < this.faults.loss || this.faults.blocked(from.address, out.to)) continue;
      const host = this.hosts.get(out.to);
      if (host === undefined) continue;
      const input = { kind: 'datagram', from: from.address, datagram } as const;
      this.#heap.push(this.now + this.#delay(), { kind: 'input', host, input });
    }
  }

  #throughBytes(out: OutDatagram): Datagram {
    const bytes = encodeDatagram(out.datagram);
    if (bytes.length !== out.bytes || bytes.length > datagramBytesMax)
      throw new Error(`a datagram of ${bytes.length} bytes says it has ${out.bytes}`);
    return value(decodeDatagram(bytes));
  }

  #open(opener: Host, open: StreamToOpen): void {
    opener.streamsOpened++;
    opener.outbound.add(open.stream);
    this.#heap.push(this.now + open.timeoutMs, { kind: 'end', host: opener, stream: open.stream, answer: null });
    const bytes = this.#codec ? encodeRequest(open.request) : null;
    const request: StreamRequest = bytes === null ? open.request : value(decodeRequest(bytes));
    opener.bytesSent += bytes?.length ?? streamBytes(open.request);
    if (this.#isCut(opener.address, open.to)) return;
    const at = this.now + this.#packets(2, 1000) + this.#packets(1, 200);
    this.#heap.push(at, { kind: 'connect', to: open.to, opener, open: { ...open, request } });
  }

  #connect(event: Extract<NetEvent, { kind: 'connect' }>): void {
    const { opener, open } = event;
    const host = this.hosts.get(event.to);
    if (host === undefined) {
      this.#heap.push(this.now + this.#delay(), { kind: 'end', host: opener, stream: open.stream, answer: null });
      return;
    }
    const stream = ++this.#lastStream;
    host.inbound.set(stream, { opener, stream: open.stream });
    this.#deliver(host, { kind: 'request', stream, request: open.request });
  }

  #reply(host: Host, reply: StreamReply): void {
    const inbound = host.inbound.get(reply.stream);
    host.inbound.delete(reply.stream);
    if (inbound === undefined) return;
    const { opener, stream } = inbound;
    const bytes = this.#codec ? encodeAnswer(reply.answer) : null;
    const answer: StreamAnswer = bytes === null ? reply.answer : value(decodeAnswer(bytes));
    host.bytesSent += bytes?.length ?? streamBytes(reply.answer);
    if (this.#isCut(opener.address, host.address)) return;
    this.#heap.push(this.now + this.#packets(1, 200), { kind: 'end', host: opener, stream, answer });
  }

  #end(host: Host, stream: number, answer: StreamAnswer | null): void {
    if (!host.outbound.delete(stream)) return;
    this.#deliver(host, answer === null ? { kind: 'failed', stream } : { kind: 'answer', stream, answer });
  }

  /** A stream needs both directions. */
  #isCut(a: Address, b: Address): boolean {
    return this.faults.blocked(a, b) || this.faults.blocked(b, a);
  }

  /** Time until so many packets in a row were delivered, each repeated after a growing pause when it was lost. */
  #packets(count: number, retryMs: Millis): Millis {
    let time = 0;
    for (let i = 0; i < count; i++) {
      time += this.#delay();
      for (let pause = retryMs; this.#random.next() < this.faults.loss; pause *= 2) time += pause;
    }
    return time;
  }
}

function value<T>(result: { ok: true; value: T } | { ok: false; error: string }): T {
  if (!result.ok) throw new Error(`a machine's own message was refused: ${result.error}`);
  return result.value;
}

/** Size of a stream's message without writing all of it: the entries of a large sync are taken to be like the first. */
function streamBytes(message: StreamRequest | StreamAnswer): number {
  if (message.kind !== 'sync') return message.kind === 'compare' ? 30 : message.kind === 'ping' ? 38 : 22;
  const one = { ...message, entries: message.entries.slice(0, 1) };
  const none = encodeRequest({ ...one, kind: 'sync', entries: [] }).length;
  return none + (encodeRequest({ ...one, kind: 'sync' }).length - none) * message.entries.length;
}
