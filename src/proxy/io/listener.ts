/**
 * A listener of one thread: several listening sockets on one address, since libuv accepts one connection per socket and
 * loop turn (256 new connections at once: p99 of the first answer 166-176 ms with one, 70-88 with eight). The kernel spreads
 * new connections over them and over the other threads' (SO_REUSEPORT).
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { ListenerSpec } from '../../routing/snapshot.ts';
import { threadCell } from '../../scoreboard/layout.ts';
import { ownAnswer } from '../answers.ts';
import { Client, type ClientListener } from './client.ts';
import type { Context } from './context.ts';
import { countListener } from './settle.ts';
import { type SecureFacts, TlsDoor, type TlsMaterial } from './tls-door.ts';

const backlog = 1024;
/** Turns to wait for one in which nothing was accepted, before a listener is closed. */
const maxQuietTurns = 200;
const maxHandshakeMs = 10_000;
/** Time for one over a limit to read why, and how many have it at once; further ones are just closed. */
const turnedAwayMs = 1000;
const maxTurnedAway = 256;

export class Listener implements ClientListener {
  readonly slot: number;
  readonly name: string;
  readonly port: string;
  readonly tls: boolean;
  readonly #context: Context;
  readonly #spec: ListenerSpec;
  readonly #servers: Server[] = [];
  #accepted = 0;
  #turnedAway = 0;
  /** null: plain. */
  #door: TlsDoor | null = null;

  /** Throws if OpenSSL refuses a certificate. */
  constructor(spec: ListenerSpec, context: Context) {
    this.#spec = spec;
    this.#context = context;
    this.slot = spec.slot;
    this.name = spec.name;
    this.port = spec.address.kind === 'tcp' ? String(spec.address.port) : '';
    this.tls = spec.tls !== null;
    if (spec.tls !== null) this.#door = this.#openDoor(spec.tls);
  }

  async open(): Promise<void> {
    const count = this.#spec.address.kind === 'tcp' && this.#spec.reusePort ? this.#spec.sockets : 1;
    try {
      for (let i = 0; i < count; i++) {
        const server = this.#createServer();
        await listen(server, this.#spec);
        this.#servers.push(server);
      }
    } catch (error) {
      for (const server of this.#servers) server.close();
      throw error;
    }
    for (const server of this.#servers) server.on('error', (error) => this.#failed(error));
  }

  #createServer(): Server {
    // A FIN within a handshake ends it; the door allows half-open connections from then on.
    return createServer({ allowHalfOpen: this.#door === null, noDelay: true }, (socket) => this.#accept(socket));
  }

  #openDoor(material: TlsMaterial): TlsDoor {
    const context = this.#context;
    return new TlsDoor({
      material,
      name: this.name,
      ticketKeys: context.ticketKeys,
      handshakeTimeout: Math.min(maxHandshakeMs, context.settings.timeouts.head),
      secured: (socket, facts) => this.#take(socket, facts),
      failed: () => countListener(context.counters, this.slot, 'handshakeErrors'),
      now: () => context.now(),
    });
  }

  /**
   * Other certificates, from the next handshake on; nothing closes. False: this listener must be opened anew for it.
   * Throws if OpenSSL refuses them.
   */
  renew(tls: ListenerSpec['tls']): boolean {
    if (this.#door === null || tls === null) return false;
    this.#door = this.#openDoor(tls);
    return true;
  }

  useTicketKeys(keys: Buffer): void {
    this.#door?.useTicketKeys(keys);
  }

  #accept(socket: Socket): void {
    this.#accepted++;
    if (this.#door !== null) this.#admit(socket, this.#door);
    else if (this.#isFull()) this.#turnAway(socket, 'The proxy has as many connections as it takes.');
    else if (this.#isLimited(socket)) this.#turnAway(socket, 'Too many connections from this address.');
    else this.#take(socket, null);
  }

  /** Counts a connection whose handshake begins: silent ones could be held beside the limit otherwise. No 503 is worth a handshake. */
  #admit(raw: Socket, door: TlsDoor): void {
    const context = this.#context;
    if (this.#isFull() || this.#isLimited(raw)) {
      raw.destroy();
      return;
    }
    context.addToThread(threadCell.connections, 1);
    raw.once('close', () => context.addToThread(threadCell.connections, -1));
    try {
      door.begin(raw);
    } catch (error) {
      context.exception('beginning a handshake', error);
      raw.destroy();
    }
  }

  /** True, and counted, if the process has all the connections that it takes. */
  #isFull(): boolean {
    const context = this.#context;
    if (context.connections() < context.settings.limits.maxConnections) return false;
    countListener(context.counters, this.slot, 'refused');
    context.countRefusal('connections');
    return true;
  }

  /** True, and counted, if the client's address is over a limit of its own. */
  #isLimited(socket: Socket): boolean {
    const { limiter, counters } = this.#context;
    if (limiter === null || limiter.admits(socket)) return false;
    countListener(counters, this.slot, 'refused');
    return true;
  }

  #take(socket: Socket, secure: SecureFacts | null): void {
    // Asked for now, it stays known. One that was reset has none any more, but may have sent a request: nodes would get that
    // as one from nowhere, and so would the log.
    if (this.port !== '' && socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    try {
      new Client(socket, this, this.#context).secure = secure;
    } catch (error) {
      this.#context.exception('accepting a connection', error);
      socket.destroy();
    }
  }

  #turnAway(socket: Socket, detail: string): void {
    const context = this.#context;
    socket.on('error', () => {});
    if (this.#turnedAway >= maxTurnedAway) {
      socket.destroy();
      return;
    }
    this.#turnedAway++;
    socket.end(
      ownAnswer({
        status: 503,
        detail,
        requestId: context.newRequestId(),
        proxyError: 'connection_limit_reached',
        retryAfter: 1,
        location: '',
        html: false,
        close: true,
        keepAliveField: false,
        headOnly: false,
        date: context.date,
      }),
      'latin1',
    );
    // Not the socket's own time-out: one who goes on sending would never reach it.
    const timer = setTimeout(() => socket.destroy(), turnedAwayMs);
    socket.on('close', () => {
      this.#turnedAway--;
      clearTimeout(timer);
    });
    socket.resume();
  }

  #failed(error: Error): void {
    this.#context.options.onEvent({
      level: 'error',
      event: 'listener-failed',
      message: `listener ${this.name} reports ${error.message}; it goes on accepting if the system lets it`,
      fields: { listener: this.name, error: error.message },
    });
  }

  /** Closes in a turn in which nothing was accepted: what the kernel had queued for it is reset otherwise. */
  async close(): Promise<void> {
    let seen = -1;
    for (let turn = 0; turn < maxQuietTurns && seen !== this.#accepted; turn++) {
      seen = this.#accepted;
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.closeNow();
  }

  closeNow(): void {
    for (const server of this.#servers) server.close();
    this.#servers.length = 0;
  }
}

function listen(server: Server, spec: ListenerSpec): Promise<void> {
  const { address } = spec;
  const where =
    address.kind === 'unix'
      ? { path: address.path }
      : { host: address.host, port: address.port, reusePort: spec.reusePort, exclusive: true, backlog };
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
