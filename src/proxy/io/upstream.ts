/**
 * One connection to a node.
 *
 *   connecting -> busy <-> idle -> closed
 *
 * While busy, one user (an attempt, a pipeline of them, or a tunnel) gets what happens; once it has let go, nothing of
 * this connection reaches it any more, whatever is still under way in the kernel or in Node's queues. Bytes or an end on
 * an idle connection close it: they are never read as the next answer.
 *
 * Reads go through `onread` into the thread's shared buffer, or into a StreamBuffer while a large body passes
 * (buffers.ts). What must outlive the callback is copied or turned into a string before the callback returns.
 */
import { connect, type Socket, type TcpSocketConnectOpts } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { Millis } from '../../base/ids.ts';
import { Timed } from '../../base/wheel.ts';
import { threadCell } from '../../scoreboard/layout.ts';
import { connectFailure, type Failure } from '../errors.ts';
import type { StreamBuffer } from './buffers.ts';
import type { Context } from './context.ts';
import type { Pipeline } from './pipeline.ts';
import type { UpstreamNode } from './upstream-node.ts';

export interface UpstreamUser {
  connected(): void;
  connectFailed(failure: Failure, detail: string): void;
  /** The first `length` bytes of `bytes` are valid until this returns. */
  received(bytes: Buffer, length: number): void;
  /** The node sent FIN. */
  ended(): void;
  broken(detail: string): void;
  /** The deadline set with Upstream.arm has passed. */
  expired(now: number): void;
  /** What was written has left; more may follow. */
  drained(): void;
  /** A guard caught an exception. */
  threw(error: unknown): void;
}

type OwnedSocket = Socket & { upstream?: Upstream };

/** A write that waits costs hundreds of bytes beside its own. */
const smallBytes = 1024;

export class Upstream extends Timed {
  readonly node: UpstreamNode;
  readonly socket: OwnedSocket;
  /** Of the node, when it connected: it is not used again under other rules. */
  readonly trust: object;
  user: UpstreamUser | null = null;
  state: 'connecting' | 'busy' | 'idle' | 'closed' = 'connecting';
  /** 0: it was not kept yet. */
  idleSince = 0;
  /** ms it took to connect. */
  connectMs = 0;
  /** Answers that ended cleanly. */
  served = 0;
  /** Once it was shared. */
  pipeline: Pipeline | null = null;
  /** The buffer that large bodies are read into; null = the shared one. */
  stream: StreamBuffer | null = null;
  readonly #context: Context;
  readonly #begun: number;
  #idleUntil = 0;
  readonly #tls: boolean;
  /** Came before the node was verified. */
  #session: Buffer | null = null;
  /** The buffer that the handle reads into now. */
  #handed: Buffer | null = null;
  /** No longer wanted, but still what the handle reads into: it changes over after a read, and then only. */
  #leaving: StreamBuffer | null = null;

  constructor(node: UpstreamNode) {
    super();
    this.node = node;
    this.trust = node.trust;
    this.#context = node.context;
    this.#begun = node.context.now();
    node.count('connects');
    node.context.addToThread(threadCell.upstreams, 1);
    const tls = node.tlsOptions();
    this.#tls = tls !== null;
    this.socket = tls === null ? connect(this.#connectOptions()) : this.#connectTls(tls);
    this.socket.upstream = this;
    this.socket.on(tls === null ? 'connect' : 'secureConnect', onConnect);
    this.socket.on('error', onError);
    this.socket.on('close', onClose);
    this.socket.on('end', onEnd);
    this.socket.on('drain', onDrain);
    this.arm(this.#begun + node.limits.connectTimeout);
  }

  /** TLS sockets have no onread: each read comes in a buffer of its own. */
  #connectTls(options: ConnectionOptions): OwnedSocket {
    const { address } = this.node.row;
    const to = address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
    const all = { ...options, ...to, allowHalfOpen: true };
    const socket = connectTls(all);
    socket.setNoDelay(true);
    socket.on('session', (session) => this.#keepSession(session));
    socket.on('data', (bytes) => this.#read(bytes.length, bytes));
    return socket;
  }

  /** Only once the node has been verified: when a session is resumed, Node does not look at the name again. */
  #keepSession(session: Buffer): void {
    if (this.state === 'connecting') this.#session = session;
    else if (this.state !== 'closed') this.node.keepSession(session, this.trust);
  }

  #connectOptions(): TcpSocketConnectOpts {
    const { address } = this.node.row;
    const onread = {
      // After connecting, null says "as before" and saves a call into the runtime per read.
      buffer: () => this.#nextBuffer() as Buffer,
      callback: (length: number, bytes: Buffer) => this.#read(length, bytes),
    };
    const shared = { allowHalfOpen: true, noDelay: true, onread };
    return (
      address.kind === 'unix'
        ? { ...shared, path: address.path }
        : { ...shared, host: address.host, port: address.port }
    ) as TcpSocketConnectOpts;
  }

  #nextBuffer(): Buffer | null {
    const wanted = this.stream === null ? this.#context.shared : this.stream.bytes;
    if (this.#handed === wanted && this.state !== 'connecting') return null;
    this.#handed = wanted;
    this.#detachLeaving();
    return wanted;
  }

  #read(length: number, bytes: Buffer): boolean {
    const user = this.user;
    // Before the handshake has ended nothing is an answer (CVE-2026-1642).
    if (this.state === 'connecting') this.fail('refused', 'bytes came before the TLS handshake ended');
    else if (user !== null) {
      try {
        user.received(bytes, length);
      } catch (error) {
        user.threw(error);
      }
    } else if (this.state === 'idle') {
      this.node.count('excessBytes', length);
      this.destroy();
    }
    return true;
  }

  arm(deadline: number): void {
    this.#context.wheel.arm(this, deadline);
  }

  override expire(now: number): void {
    const user = this.user;
    if (this.state === 'idle') this.destroy();
    else if (this.state === 'connecting') this.fail('connect-timeout', 'connect timed out');
    else if (user !== null) {
      try {
        user.expired(now);
      } catch (error) {
        user.threw(error);
      }
    }
  }

  /** Given back by its user after an answer that ended cleanly. `idleMs`: how long the node is known to keep it; `doubtful`: it may not. */
  release(now: Millis, idleMs: Millis, doubtful = false): void {
    this.served++;
    // Old from the start: a request that may not be sent again gets another.
    this.idleSince = doubtful ? Number.NEGATIVE_INFINITY : now;
    this.#idleUntil = now + idleMs;
    this.#rest(now);
  }

  /** Given back by a user who has sent nothing: it is no younger for it, unless it has just connected. */
  giveBack(now: Millis): void {
    if (this.idleSince === 0) {
      this.idleSince = now;
      this.#idleUntil = now + this.node.limits.idleTimeout;
    }
    this.#rest(now);
  }

  #rest(now: Millis): void {
    this.user = null;
    // An answer that was read into an own buffer is likely followed by one that is worth it.
    if (this.#context.buffers.scarce) this.useShared();
    this.state = 'idle';
    if (this.#idleUntil <= now || !this.node.keep(this)) this.destroy();
    else this.arm(this.#idleUntil);
  }

  /** Taken from the idle ones, or just connected. */
  use(user: UpstreamUser): void {
    this.user = user;
    if (this.state === 'idle') {
      this.state = 'busy';
      this.arm(Number.POSITIVE_INFINITY);
    }
  }

  /** Passes bytes on. False: no more of them until the user's drained(). Of small ones, one waits, not 64 KiB of them. */
  send(bytes: Buffer): boolean {
    const { socket } = this;
    if (bytes.length >= smallBytes || socket.writableLength === 0) return socket.write(bytes);
    socket.write(bytes, () => guard(this, () => this.user?.drained()));
    return false;
  }

  /** Read into an own buffer from the next read on, if one is free. */
  useStream(): void {
    if (!this.#tls) this.stream ??= this.#context.buffers.take();
  }

  useShared(): void {
    const { stream } = this;
    if (stream === null) return;
    this.stream = null;
    if (stream.bytes === this.#handed) this.#leaving = stream;
    else stream.detach();
  }

  #detachLeaving(): void {
    this.#leaving?.detach();
    this.#leaving = null;
  }

  /** Tells the user that there will be no connection. */
  fail(failure: Failure, detail: string): void {
    const user = this.user;
    this.node.count('connectErrors');
    if (failure !== 'exhausted') this.node.doubt(this.#context.now());
    this.destroy();
    if (user === null) return;
    try {
      user.connectFailed(failure, detail);
    } catch (error) {
      user.threw(error);
    }
  }

  connected(): void {
    this.state = 'busy';
    if (this.#session !== null) this.node.keepSession(this.#session, this.trust);
    this.arm(Number.POSITIVE_INFINITY);
    this.connectMs = this.#context.now() - this.#begun;
    this.node.count('connectMs', this.connectMs);
    if (this.user === null) this.destroy();
    else this.user.connected();
  }

  /** As destroy(), and what the kernel has not sent yet is thrown away where it can be. */
  reset(): void {
    if (this.state === 'closed') return;
    if (!this.#tls && this.node.row.address.kind === 'tcp') this.socket.resetAndDestroy();
    this.destroy();
  }

  /** Lets go of the user and closes at once: nothing of this connection reaches anyone any more. */
  destroy(): void {
    if (this.state === 'closed') return;
    if (this.state === 'idle') this.node.forget(this);
    this.state = 'closed';
    this.user = null;
    this.#context.wheel.remove(this);
    this.#context.addToThread(threadCell.upstreams, -1);
    this.socket.destroy();
    this.useShared();
    this.#detachLeaving();
  }
}

function onConnect(this: OwnedSocket): void {
  const upstream = this.upstream!;
  if (upstream.state !== 'connecting') return;
  guard(upstream, () => upstream.connected());
}

function onError(this: OwnedSocket, error: NodeJS.ErrnoException): void {
  const upstream = this.upstream!;
  if (upstream.state === 'connecting') upstream.fail(connectFailure(error.code), error.message || String(error.code));
  else breakOff(upstream, error.code ?? error.message);
}

function onClose(this: OwnedSocket): void {
  breakOff(this.upstream!, 'the connection closed');
}

function onEnd(this: OwnedSocket): void {
  const upstream = this.upstream!;
  if (upstream.user === null) breakOff(upstream, 'the connection ended');
  else guard(upstream, () => upstream.user?.ended());
}

function onDrain(this: OwnedSocket): void {
  const upstream = this.upstream!;
  if (upstream.user !== null) guard(upstream, () => upstream.user?.drained());
}

function breakOff(upstream: Upstream, detail: string): void {
  const { user, node } = upstream;
  if (upstream.state === 'idle') node.closedIdle(upstream, node.context.now());
  upstream.destroy();
  if (user === null) return;
  try {
    user.broken(detail);
  } catch (error) {
    user.threw(error);
  }
}

function guard(upstream: Upstream, run: () => void): void {
  const user = upstream.user;
  try {
    run();
  } catch (error) {
    user?.threw(error);
  }
}
