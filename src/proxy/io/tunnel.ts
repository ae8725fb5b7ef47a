/**
 * Two sockets joined after a 101: bytes pass both ways unread, with back-pressure. It ends as a whole: the FIN of a
 * WebSocket's side is passed on, what is still under way is delivered, and within two seconds both sockets are closed.
 */
import type { End } from '../outcome.ts';
import type { Attempt } from './attempt.ts';
import type { Client } from './client.ts';
import type { Upstream, UpstreamUser } from './upstream.ts';

const closeMs = 2000;
const streamBytes = 16 * 1024;

export class Tunnel implements UpstreamUser {
  readonly #attempt: Attempt;
  readonly #client: Client;
  readonly #upstream: Upstream;
  #closing = false;
  #ended = false;

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
    this.#client = attempt.exchange.client;
    this.#upstream = attempt.upstream;
    this.#arm();
  }

  #arm(): void {
    if (this.#closing) return;
    this.#upstream.arm(this.#client.context.now() + this.#attempt.node.limits.tunnelTimeout);
  }

  // ---- from the node ---------------------------------------------------------------------------------------------

  received(bytes: Buffer, length: number): void {
    if (this.#attempt.exchange.held?.stands() === false) return;
    this.#attempt.node.count('bytesIn', length);
    this.#attempt.exchange.bytesOut += length;
    this.#arm();
    if (!this.#toClient(bytes, length)) {
      this.#client.full();
      this.#upstream.socket.pause();
    }
  }

  /** False if the client's socket is full. Nothing of a shared buffer outlives this call. */
  #toClient(bytes: Buffer, length: number): boolean {
    const { stream } = this.#upstream;
    const { socket } = this.#client;
    if (stream === null || stream.bytes !== bytes) {
      if (length >= streamBytes) this.#upstream.useStream();
      return socket.write(Buffer.from(bytes.subarray(0, length)));
    }
    stream.beginWrite();
    const flowing = socket.write(bytes.subarray(0, length), stream.written);
    if (socket.writableLength !== 0) {
      this.#upstream.useShared();
      if (flowing) this.#upstream.useStream();
    }
    return flowing;
  }

  drained(): void {
    this.#client.readOn(true);
  }

  /** The node's FIN: the client gets the rest, then the end. */
  ended(): void {
    this.#finish('ok');
    this.#client.finish();
  }

  broken(): void {
    this.#finish(this.#closing ? 'ok' : 'upstream_reset');
    if (this.#closing) this.#client.finish();
    else this.#client.cut();
  }

  expired(): void {
    this.#finish(this.#closing ? 'ok' : 'timeout');
    this.#client.finish();
  }

  threw(error: unknown): void {
    this.#client.context.exception('a tunnel', error);
    this.#finish('internal');
    this.#client.cut();
  }

  // ---- from the client -------------------------------------------------------------------------------------------

  fromClient(bytes: Buffer): void {
    if (this.#attempt.exchange.held?.stands() === false) return;
    this.#attempt.node.count('bytesOut', bytes.length);
    this.#arm();
    if (!this.#upstream.send(bytes)) this.#client.readOn(false);
  }

  clientDrained(): void {
    if (!this.#ended) this.#upstream.socket.resume();
  }

  /** The client's FIN: the node gets the rest, then the end, and has two seconds to answer it. */
  clientEnded(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#upstream.socket.end();
    this.#upstream.arm(this.#client.context.now() + closeMs);
  }

  clientGone(): void {
    this.#finish(this.#closing ? 'ok' : 'client_abort');
  }

  #finish(end: End): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#attempt.tunnelEnded(end);
  }

  connected(): void {}

  connectFailed(): void {}
}
