/**
 * One connection of a client.
 *
 *   idle -> head -> busy -> idle ...           keep-alive; requests that came ahead wait in `pending`, answered in order
 *                     |-> tunnel               after a 101
 *                     |-> lingering -> closed  after an answer that closes
 *
 * Lingering close: the answer, then FIN, then what the client still sends is read and thrown away for a while. Closing
 * at once would reset the connection, and the client would lose the answer (40 of 40 early 413s to a Python client).
 * It keeps reading while an answer is awaited, up to a bound, or neither FIN nor RST would be seen.
 */
import type { Socket } from 'node:net';
import type { Millis } from '../../base/ids.ts';
import { Timed } from '../../base/wheel.ts';
import type { ClientKey } from '../../scoreboard/clients.ts';
import { threadCell, threadCounters } from '../../scoreboard/layout.ts';
import { counterRow } from '../../scoreboard/scoreboard.ts';
import type { Peer } from '../forwarding.ts';
import { chunked, type Refusal, RequestHead } from '../http1/request-head.ts';
import { bufferBytes } from './buffers.ts';
import { attach, onTurn } from './client-events.ts';
import type { Context } from './context.ts';
import { Exchange } from './exchange.ts';
import { HeadReader } from './head-reader.ts';
import { refuseHead } from './own-answers.ts';
import { peerOf } from './peer.ts';
import { countListener } from './settle.ts';
import type { SecureFacts } from './tls-door.ts';
import type { Tunnel } from './tunnel.ts';
import type { Write } from './writes.ts';

export interface ClientListener {
  readonly slot: number;
  readonly name: string;
  /** Empty for a unix socket. */
  readonly port: string;
  readonly tls: boolean;
}

/** Requests that came ahead of their turn. */
const maxPending = 64 * 1024;
/** Begun in one turn of the loop. 64 KiB hold 2500, which can all be answered at once: 60 ms in which nobody else is served. */
const maxPerTurn = 32;
const lingerMs = 2000;
const maxLingerBytes = 1024 * 1024;
const maxLingering = 1024;
/** While draining, an idle connection ends when it was quiet for so long. */
const drainIdleMs = 1000;

const never = Number.POSITIVE_INFINITY;
const nothing = Buffer.alloc(0);
/** Below it, bytes of a body are copied: a small part of a buffer that waits would hold the whole. */
const ownReadBytes = 16 * 1024;
/** Smaller copies are cut from a buffer that Node keeps for that. */
const pooledBytes = 4 * 1024;

export class Client extends Timed {
  readonly socket: Socket;
  readonly context: Context;
  readonly listener: ClientListener;
  finReceived = false;
  /** Where the listener asks for client certificates. Set before the first byte. */
  secure: SecureFacts | null = null;
  /** Of its address, once a limit per address has asked for it. */
  addressKey: ClientKey | null = null;
  /** Answered writes to a primary whose answers the kernel has not taken whole. */
  flushing: Set<Write> | null = null;
  #state: 'idle' | 'head' | 'busy' | 'tunnel' | 'lingering' | 'closed' = 'idle';
  #exchange: Exchange | null = null;
  #tunnel: Tunnel | null = null;
  readonly #heads = new HeadReader();
  #pending: Buffer | null = null;
  /** What a large body is read into. */
  #bodyBuffer: Buffer | null = null;
  /** While an exchange begins: more bytes stand behind its head. */
  #bytesBehind = false;
  #reading = false;
  #headBegan = 0;
  #served = 0;
  /** The request's body is not read: the node takes no more of it for now. */
  bodyHeldBack = false;
  #paused = false;
  #readDeadline = never;
  #writeDeadline = never;
  #waitDeadline = never;
  #writeLeft = 0;
  #discarded = 0;
  #peer: Peer | null = null;

  constructor(socket: Socket, listener: ClientListener, context: Context) {
    super();
    this.socket = socket;
    this.listener = listener;
    this.context = context;
    context.clients.add(this);
    // Over TLS the listener counts, from the first byte of the handshake on.
    if (!listener.tls) context.addToThread(threadCell.connections, 1);
    countListener(context.counters, listener.slot, 'accepted');
    attach(socket, this);
    this.#readBy(context.settings.timeouts.head);
  }

  get peer(): Peer {
    // Made anew after a reload of the settings: trust may have changed.
    if (this.#peer?.isTrusted !== this.context.isTrusted) this.#peer = peerOf(this);
    return this.#peer!;
  }

  /** Nothing that came ahead is left, and nothing more will come. */
  get lastRequest(): boolean {
    return this.finReceived && this.#pending === null && !this.#bytesBehind;
  }

  // ---- reading ---------------------------------------------------------------------------------------------------

  receive(bytes: Buffer): void {
    switch (this.#state) {
      case 'idle':
      case 'head':
        return this.#pending === null ? this.#readRequests(bytes) : this.#keepPending(bytes);
      case 'busy':
        return this.#readAhead(bytes);
      case 'tunnel':
        return this.#tunnel!.fromClient(bytes);
      case 'lingering':
        // Past the bound nothing is read any more; the client keeps the time that is left to read its answer.
        this.#discarded += bytes.length;
        if (this.#discarded > maxLingerBytes) this.socket.pause();
    }
  }

  /** A read into the thread's shared buffer, of which nothing stays, or into one of this connection. */
  receiveBorrowed(bytes: Buffer, length: number): void {
    if (this.#state === 'closed') return;
    if (bytes === this.#bodyBuffer && length >= ownReadBytes) {
      if (!this.#receiveLent(bytes.subarray(0, length))) this.#bodyBuffer = null;
    } else if (!this.#readWhole(bytes, length)) this.#receiveCopy(bytes.subarray(0, length));
  }

  #receiveCopy(bytes: Buffer): void {
    if (bytes.length < pooledBytes) return this.receive(Buffer.from(bytes));
    const { spare } = this.context;
    const copy = spare.take();
    copy.set(bytes);
    if (this.#receiveLent(copy.subarray(0, bytes.length))) spare.giveBack(copy);
  }

  /** True if all of it has gone to the node, and nobody holds a part of it any more. */
  #receiveLent(bytes: Buffer): boolean {
    const before = this.#exchange;
    const served = this.#served;
    this.receive(bytes);
    // One request alone had a part in it.
    const alone = before === null ? this.#served === served + 1 : this.#exchange === before && this.#served === served;
    return alone && this.#pending === null && this.#exchange?.passedOn === true;
  }

  /** A large body begins: it is read into buffers of its own, since copying 1 MiB costs half as much as all the rest. */
  #readBodyApart(): void {
    const reads = this.context.borrowedReads;
    if (reads === null || this.listener.tls) return;
    reads.nextInto(this.socket, () => {
      if (this.#exchange?.body.complete === false) {
        this.#bodyBuffer ??= this.context.spare.take();
        return this.#bodyBuffer;
      }
      if (this.#bodyBuffer !== null) this.context.spare.giveBack(this.#bodyBuffer);
      this.#bodyBuffer = null;
      reads.nextInto(this.socket, null);
      return this.context.shared;
    });
  }

  /** The usual case: one request without a body, whole, and nothing before or behind it. False: it is another one. */
  #readWhole(bytes: Buffer, length: number): boolean {
    if (this.#state !== 'idle' || this.#pending !== null || this.socket.writableNeedDrain) return false;
    const head = this.#heads.whole(bytes, length, this.context.headLimits);
    if (head === null) return false;
    this.#reading = true;
    try {
      if (head instanceof RequestHead) this.#begin(head, nothing, 0);
      else this.#refuse(head);
    } finally {
      this.#reading = false;
    }
    return true;
  }

  /** Begins one request after the other; stops where one has to wait for its answer. */
  #readRequests(bytes: Buffer): void {
    let rest: Buffer | null = bytes;
    let left = maxPerTurn;
    this.#reading = true;
    try {
      while (rest !== null && (this.#state === 'idle' || this.#state === 'head') && !this.socket.writableNeedDrain) {
        if (left-- === 0) {
          setImmediate(onTurn, this);
          break;
        }
        rest = this.#readHead(rest);
      }
    } finally {
      this.#reading = false;
    }
    if (rest !== null && this.#state !== 'lingering' && this.#state !== 'closed') this.#keepPending(rest);
  }

  /** Returns what is left behind the request, or null. */
  #readHead(bytes: Buffer): Buffer | null {
    const begun = this.#heads.begun;
    const found = this.#heads.read(bytes, this.context.headLimits);
    if (!begun && this.#heads.begun) {
      this.#headBegan = this.context.now();
      this.#state = 'head';
      this.#readBy(this.context.settings.timeouts.head);
    }
    if (found === null) return null;
    if (found.head instanceof RequestHead) return this.#begin(found.head, bytes, found.at);
    this.#refuse(found.head);
    return null;
  }

  /** The body, or the next request, begins at `at` of the bytes. */
  #begin(head: RequestHead, bytes: Buffer, at: number): Buffer | null {
    this.#state = 'busy';
    this.#headBegan = 0;
    this.#readDeadline = never;
    this.#served++;
    const exchange = new Exchange(this, head);
    this.#exchange = exchange;
    if (!exchange.body.complete) {
      this.#readBy(this.context.settings.timeouts.body);
      if (head.bodyLength === chunked || head.bodyLength > bufferBytes) this.#readBodyApart();
    }
    this.#bytesBehind = at < bytes.length;
    const to = exchange.start(bytes, at);
    this.#bytesBehind = false;
    return to < bytes.length ? bytes.subarray(to) : null;
  }

  /** Bytes while an answer is awaited: the rest of the body, then requests ahead of their turn. */
  #readAhead(bytes: Buffer): void {
    const exchange = this.#exchange!;
    let from = 0;
    if (!exchange.body.complete) from = exchange.feed(bytes, 0);
    if (from === bytes.length || this.#state === 'lingering' || this.#state === 'closed') return;
    const rest = bytes.subarray(from);
    if (this.#state === 'busy') this.#keepPending(rest);
    else this.receive(rest);
  }

  #keepPending(bytes: Buffer): void {
    this.#pending = this.#pending === null ? bytes : Buffer.concat([this.#pending, bytes]);
    this.#applyPause();
  }

  /** Whether the request's body may be read on; the exchange says so. */
  readOn(flowing: boolean): void {
    if (this.bodyHeldBack !== flowing) return;
    this.bodyHeldBack = !flowing;
    this.#applyPause();
    // The client is not to blame for the time in which we don't read.
    if (this.#exchange !== null && !this.#exchange.body.complete) {
      if (flowing) this.#readBy(this.context.settings.timeouts.body);
      else this.#readDeadline = never;
    }
  }

  #applyPause(): void {
    const pause = this.bodyHeldBack || (this.#pending !== null && this.#pending.length >= maxPending);
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.socket.pause();
    else this.socket.resume();
  }

  /** A piece of the body has come. */
  bodyProgress(complete: boolean): void {
    const awaited = !complete && !this.bodyHeldBack;
    this.#readDeadline = awaited ? this.context.now() + this.context.settings.timeouts.body : never;
  }

  // ---- answers ---------------------------------------------------------------------------------------------------

  /** The head of a request can't be read: answer, and close. */
  #refuse(refusal: Refusal): void {
    const began = this.#headBegan === 0 ? this.context.now() : this.#headBegan;
    const bytesIn = this.#heads.length;
    this.#heads.forget();
    refuseHead(this, refusal, { began, bytesIn });
    this.finish();
  }

  /** The answer is out, or as good as: on to the next request, or the end. */
  exchangeEnded(close: boolean, now: Millis): void {
    this.#exchange = null;
    if (this.#state !== 'busy') return;
    if (close || this.lastRequest) return this.finish();
    this.#state = 'idle';
    this.readOn(true);
    this.#readBy(this.context.draining ? drainIdleMs : this.context.settings.timeouts.keepAlive, now);
    if (!this.#reading) this.readPending();
  }

  /** On to the next request that came ahead. */
  readPending(): void {
    if (this.#pending === null || this.#state !== 'idle' || this.socket.writableNeedDrain) return;
    const bytes = this.#pending;
    this.#pending = null;
    this.#readRequests(bytes);
    this.#applyPause();
    // What is left is no whole request, and never will be.
    const unread = this.#state === 'idle' || this.#state === 'head';
    if (!this.finReceived || this.#pending !== null) return;
    if (unread) this.finish();
    else if (this.#exchange?.body.complete === false) this.#halfClosed();
  }

  becomeTunnel(tunnel: Tunnel): void {
    this.#tunnel = tunnel;
    this.#state = 'tunnel';
    this.#readDeadline = never;
    const bytes = this.#pending;
    this.#pending = null;
    this.#applyPause();
    if (bytes !== null) tunnel.fromClient(bytes);
    if (this.finReceived) tunnel.clientEnded();
  }

  /** What was written did not all leave. */
  full(): void {
    if (this.#writeDeadline !== never) return;
    this.#writeLeft = this.socket.writableLength;
    this.#writeDeadline = this.context.now() + this.context.settings.timeouts.write;
    this.#arm();
  }

  drained(): void {
    this.#writeDeadline = never;
    this.#tunnel?.clientDrained();
    this.#exchange?.attempt?.unblock();
    this.readPending();
  }

  // ---- ends ------------------------------------------------------------------------------------------------------

  /** Lingering close. */
  finish(): void {
    if (this.#state === 'lingering' || this.#state === 'closed') return;
    this.#state = 'lingering';
    this.#tunnel = null;
    this.#pending = null;
    this.bodyHeldBack = false;
    this.#applyPause();
    this.#readDeadline = never;
    // Until all is out, FIN included: over TLS that is a message of its own, which can be stuck when no answer is.
    this.full();
    if (this.finReceived || this.context.lingering >= maxLingering) return this.socket.destroySoon();
    this.context.lingering++;
    this.#discarded = 0;
    this.socket.end(() => {
      this.context.lingering--;
      this.#writeDeadline = never;
      this.#readBy(lingerMs);
    });
  }

  /** Breaks the connection so that the client sees that its answer is not whole. */
  cut(): void {
    if (this.listener.tls || this.listener.port === '') this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  ended(): void {
    this.finReceived = true;
    switch (this.#state) {
      case 'idle':
      case 'head':
        // Requests that wait for room for their answers are served first.
        if (this.#pending === null) this.finish();
        break;
      case 'busy':
        this.#halfClosed();
        break;
      case 'tunnel':
        this.#tunnel!.clientEnded();
        break;
      case 'lingering':
        this.socket.destroySoon();
    }
  }

  /** FIN while an answer is awaited: a half-close if the request is whole, else the client has given up. */
  #halfClosed(): void {
    const exchange = this.#exchange!;
    if (exchange.body.complete && exchange.route?.row.abortOnFin !== true) return;
    exchange.clientGone();
    // It may read on.
    if (exchange.answered) this.cut();
    else this.socket.destroy();
  }

  closed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.context.wheel.remove(this);
    this.context.clients.delete(this);
    if (!this.listener.tls) this.context.addToThread(threadCell.connections, -1);
    countListener(this.context.counters, this.listener.slot, 'closed');
    this.#tunnel?.clientGone();
    this.#exchange?.clientGone();
    this.#exchange = null;
    this.#tunnel = null;
    if (this.flushing !== null) for (const write of [...this.flushing]) write.end();
    this.context.clientClosed();
  }

  /** The engine stops: an idle connection ends when it has been quiet for a second, a busy one after its answer. */
  drain(): void {
    if (this.#state === 'idle') this.#readBy(drainIdleMs);
  }

  threw(error: unknown): void {
    if (this.#exchange !== null) return this.#exchange.threw(error);
    this.context.exception('a client connection', error);
    this.socket.destroy();
  }

  // ---- deadlines -------------------------------------------------------------------------------------------------

  /** The exchange waits for a place at a node, until then. */
  waitUntil(deadline: number): void {
    this.#waitDeadline = deadline;
    this.#arm();
  }

  #readBy(ms: Millis, now = this.context.now()): void {
    this.#readDeadline = now + ms;
    this.#arm();
  }

  #arm(): void {
    const deadline = Math.min(this.#readDeadline, this.#writeDeadline, this.#waitDeadline);
    if (deadline !== never) this.context.wheel.arm(this, deadline);
  }

  override expire(now: number): void {
    try {
      if (this.#waitDeadline <= now) {
        this.#waitDeadline = never;
        this.#exchange?.waitedTooLong();
      }
      if (this.#writeDeadline <= now) this.#writeExpired();
      if (this.#readDeadline <= now) this.#readExpired();
    } catch (error) {
      this.threw(error);
    }
    if (this.#state !== 'closed') this.#arm();
  }

  /** The client took nothing for so long; what it took meanwhile buys it more time. */
  #writeExpired(): void {
    const left = this.socket.writableLength;
    this.#writeDeadline = never;
    if (left === 0 && this.#state !== 'lingering') return;
    if (left < this.#writeLeft) return this.full();
    this.#count('writeTimeouts');
    this.cut();
  }

  #readExpired(): void {
    this.#readDeadline = never;
    switch (this.#state) {
      case 'idle':
        // Not idle, but waiting for room for the next answer, which has the deadline of writing.
        if (this.#pending !== null) return this.#readBy(this.context.settings.timeouts.keepAlive);
        if (this.#served > 0) this.#count('keepAliveTimeouts');
        return this.finish();
      case 'head':
        return this.#refuse({ status: 408, reason: 'head-timeout', detail: 'the head did not come in time' });
      case 'busy':
        return this.#exchange?.refuse(408, 'body-timeout', 'The body did not come in time.');
      case 'lingering':
        this.socket.destroy();
    }
  }

  #count(what: (typeof threadCounters)[number]): void {
    this.context.counters[counterRow.thread() + threadCounters.indexOf(what)]!++;
  }
}
