/**
 * The kept connection to one peer, from our side. It carries our messages and requests there, and answers back; what
 * the peer has to say by itself comes over the connection that it dials. So two members never argue about which of two
 * crossing connections to keep.
 *
 *   idle --first message--> dialling --proof--> open --silence, error--> resting --back-off--> idle
 *              `----------- refused, time-out ------------------------------^
 *
 * While it rests nothing waits: a message is dropped and a request fails at once, as "unreachable, not sent".
 */
import { connect, type Socket } from 'node:net';
import type { Millis } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import { parseHostPort } from '../frames/address.ts';
import { Backoff } from '../frames/backoff.ts';
import { type DropReason, greetingBytes } from '../frames/header.ts';
import { Outbox, type Outgoing } from '../frames/outbox.ts';
import type { Whole } from '../frames/record.ts';
import { Dialler, outdated, type Session } from './handshake.ts';
import { SealedStream } from './stream.ts';
import type { Peer, Wire } from './wire.ts';

export type RequestFailure =
  /** No connection, and none to be had now. */
  | 'unreachable'
  /** Too much waits for this peer. */
  | 'full'
  /** No answer in time. */
  | 'timeout'
  /** The connection ended before the answer. */
  | 'closed'
  /** The peer answered that it can't; its words are in the message. */
  | 'refused';

export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code: RequestFailure;
  /** false: the peer has certainly not seen it, and it may be sent again elsewhere. */
  readonly sent: boolean;

  constructor(
    code: RequestFailure,
    options: { readonly to: string; readonly sent: boolean; readonly detail?: string },
  ) {
    const why = options.detail === undefined ? code : `${code}: ${options.detail}`;
    super(`request to member ${options.to}: ${why}${options.sent ? '' : ' (it was not sent)'}`);
    this.code = code;
    this.sent = options.sent;
  }
}

interface Pending {
  readonly resolve: (answer: Uint8Array) => void;
  readonly reject: (error: RequestError) => void;
  readonly timer: NodeJS.Timeout;
  sent: boolean;
}

type LinkState =
  | { readonly at: 'idle' }
  | { readonly at: 'dialling'; readonly socket: Socket }
  | { readonly at: 'open'; readonly stream: SealedStream; readonly peer: Peer }
  | { readonly at: 'resting'; readonly until: Millis }
  | { readonly at: 'closed' };

export class Link {
  readonly address: string;
  readonly #wire: Wire;
  readonly #backoff: Backoff;
  readonly #outbox: Outbox;
  readonly #pending = new Map<number, Pending>();
  #state: LinkState = { at: 'idle' };
  #number = 0;
  #usedAt: Millis;
  /** When the ping that is under way was sent, and how much of the queue had gone by then. */
  #pingedAt: Millis | null = null;
  #writtenAtPing = 0;

  constructor(address: string, wire: Wire, random: Random) {
    this.address = address;
    this.#wire = wire;
    this.#backoff = new Backoff(random);
    this.#outbox = new Outbox(wire.limits.outbox);
    this.#usedAt = wire.now();
  }

  get state(): LinkState['at'] {
    return this.#state.at;
  }

  /** Who answers there; null while there is no connection. */
  get peer(): Peer | null {
    return this.#state.at === 'open' ? this.#state.peer : null;
  }

  /** Bytes of the connection that is open now. */
  get traffic(): { readonly in: number; readonly out: number } {
    if (this.#state.at !== 'open') return { in: 0, out: 0 };
    const { bytesIn, bytesOut } = this.#state.stream;
    return { in: bytesIn, out: bytesOut };
  }

  get waiting(): number {
    return this.#outbox.count;
  }

  /** Nobody used it for long, and nothing is under way. */
  idleSince(now: Millis): Millis {
    return this.#pending.size > 0 || this.#outbox.count > 0 ? 0 : now - this.#usedAt;
  }

  /** false: dropped at once. true promises nothing. */
  send(kind: number, bytes: Uint8Array, droppable: boolean): boolean {
    return this.#push({ form: 'message', kind, number: 0, bytes, droppable });
  }

  request(kind: number, bytes: Uint8Array, timeoutMs: Millis): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#number = (this.#number + 1) >>> 0;
      const number = this.#number;
      const timer = setTimeout(() => this.#fail(number, 'timeout'), timeoutMs);
      this.#pending.set(number, { resolve, reject, timer, sent: false });
      const pushed = this.#push({ form: 'request', kind, number, bytes, droppable: false });
      if (!pushed) this.#fail(number, this.#mayDial() ? 'full' : 'unreachable');
    });
  }

  #mayDial(): boolean {
    return this.#state.at !== 'resting' && this.#state.at !== 'closed';
  }

  #push(message: Outgoing): boolean {
    this.#usedAt = this.#wire.now();
    if (this.#state.at === 'resting' && this.#wire.now() >= this.#state.until) this.#state = { at: 'idle' };
    if (!this.#mayDial()) {
      this.#wire.counts.unsent += 1;
      return false;
    }
    const dropped = this.#outbox.push(message);
    this.#wire.counts.unsent += dropped.length;
    if (this.#state.at === 'idle') this.#dial();
    else if (this.#state.at === 'open') this.#state.stream.pump();
    return !dropped.includes(message);
  }

  #dial(): void {
    const target = parseHostPort(this.address);
    if (target === null) {
      this.#wire.problem(this.address, 'is no address of a member (host:port)');
      return this.#rest();
    }
    this.#wire.counts.dials += 1;
    const dialler = new Dialler(this.#wire.identity());
    const socket = connect({ host: target.host, port: target.port, noDelay: true });
    this.#state = { at: 'dialling', socket };
    const timer = setTimeout(() => failed('did not answer in time'), this.#wire.limits.dialMs);
    const there = `can't be reached on port ${target.port}`; // several members may be on one machine
    const failed = (why: string): void => {
      clearTimeout(timer);
      socket.removeAllListeners('data').removeAllListeners('close');
      socket.destroy();
      if (this.#state.at !== 'dialling' || this.#state.socket !== socket) return;
      this.#wire.problem(this.address, `${there}: ${why}`);
      this.#rest();
    };
    let heard = Buffer.alloc(0);
    socket.on('error', (error: NodeJS.ErrnoException) => failed(error.code ?? error.message));
    socket.on('close', () => failed('it ended the handshake: look at its log (key, cluster, version, limits)'));
    socket.on('connect', () => socket.write(dialler.hello));
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      if (heard.byteLength < greetingBytes) return;
      const result = dialler.welcomed(heard.subarray(0, greetingBytes));
      const fault = result.ok ? outdated(result.value.session, this.#wire.identity()) : result.error;
      if (!result.ok || fault !== null) {
        if (fault !== null) this.#wire.dropped(this.address, fault);
        return failed(`its handshake was refused (${fault?.reason})`);
      }
      clearTimeout(timer);
      for (const event of ['connect', 'data', 'error', 'close']) socket.removeAllListeners(event);
      socket.write(result.value.proof);
      this.#open(socket, result.value.session, heard.subarray(greetingBytes));
    });
  }

  #open(socket: Socket, session: Session, rest: Buffer): void {
    const { sender, boot, cluster } = session.peer;
    this.#backoff.succeeded();
    this.#pingedAt = null;
    const stream: SealedStream = new SealedStream({
      socket,
      session,
      outbox: this.#outbox,
      messageMax: this.#wire.limits.message,
      onMessage: (message) => this.#heard(stream, message),
      onSending: (message) => this.#sending(message),
      onEnd: (reason) => this.#ended(stream, reason),
    });
    this.#state = { at: 'open', stream, peer: { id: sender, boot, cluster, remote: this.address } };
    stream.read(rest);
    stream.pump();
  }

  #sending(message: Outgoing): void {
    if (message.form !== 'request') return;
    const pending = this.#pending.get(message.number);
    if (pending !== undefined) pending.sent = true;
  }

  #heard(stream: SealedStream, message: Whole): void {
    if (message.form === 'pong') this.#pingedAt = null;
    else if (message.form === 'answer') this.#settle(message.number)?.resolve(message.bytes);
    else if (message.form === 'refusal') this.#fail(message.number, 'refused', plainText(message.bytes));
    else stream.end('protocol');
  }

  #settle(number: number): Pending | undefined {
    const pending = this.#pending.get(number);
    if (pending === undefined) return undefined;
    this.#pending.delete(number);
    clearTimeout(pending.timer);
    return pending;
  }

  #fail(number: number, code: RequestFailure, detail?: string): void {
    const pending = this.#settle(number);
    if (pending === undefined) return;
    const options = { to: this.address, sent: pending.sent };
    pending.reject(new RequestError(code, detail === undefined ? options : { ...options, detail }));
  }

  #ended(stream: SealedStream, reason: DropReason | null): void {
    this.#wire.counts.bytesIn += stream.bytesIn;
    this.#wire.counts.bytesOut += stream.bytesOut;
    if (reason !== null) this.#wire.dropped(this.address, { reason, sender: stream.peer.sender });
    if (this.#state.at === 'open' && this.#state.stream === stream) this.#rest();
  }

  /** What waited is given up: by the time of the next connection it is old news. */
  #rest(): void {
    this.#wire.counts.dialsFailed += this.#state.at === 'dialling' ? 1 : 0;
    if (this.#state.at !== 'closed') this.#state = { at: 'resting', until: this.#wire.now() + this.#backoff.failed() };
    this.#wire.counts.unsent += this.#outbox.clear().filter((message) => message.form === 'message').length;
    for (const [number, pending] of [...this.#pending]) this.#fail(number, pending.sent ? 'closed' : 'unreachable');
  }

  /** About once a second: is the peer still there? */
  tick(now: Millis): void {
    if (this.#state.at !== 'open') return;
    const { stream } = this.#state;
    if (this.#pingedAt === null) {
      if (now - this.#usedAt >= this.#wire.limits.idleMs) return;
      this.#pingedAt = now;
      this.#writtenAtPing = stream.bytesOut;
      this.#outbox.push({ form: 'ping', kind: 0, number: 0, bytes: new Uint8Array(0), droppable: false });
      return stream.pump();
    }
    if (now - this.#pingedAt < this.#wire.limits.pongMs) return;
    // A long snapshot over a slow way delays the pong, but then bytes go on leaving.
    if (stream.bytesOut > this.#writtenAtPing + 65_536) {
      this.#pingedAt = now;
      this.#writtenAtPing = stream.bytesOut;
    } else stream.end(null);
  }

  /** Ends the connection if `ends` says so of it; it is dialled again when it is needed. */
  endIf(ends: (stream: SealedStream) => boolean): void {
    if (this.#state.at === 'open' && ends(this.#state.stream)) this.#state.stream.end(null);
  }

  close(): void {
    const before = this.#state;
    this.#state = { at: 'closed' };
    if (before.at === 'open') before.stream.end(null);
    if (before.at === 'dialling') before.socket.destroy();
    this.#rest();
  }
}

/** A peer's words, for an error message: bounded, without control characters. */
function plainText(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 200))
    .toString('utf8')
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
