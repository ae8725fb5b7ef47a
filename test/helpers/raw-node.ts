/**
 * A node that is only a socket: it records every byte that reaches it and answers as a script says. Node's own http
 * server would refuse bad bytes itself and hide what was forwarded.
 *
 * By default each whole request is answered with 200 and `METHOD TARGET` as its body, so that an answer says whose it is.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { type Message, type Reading, readMessages } from './http-bytes.ts';
import { freePort } from './ports.ts';
import type { Scope } from './scope.ts';

/** Called for each whole request, in order. */
export type Respond = (request: Message, connection: RawConnection) => void;

export class RawConnection {
  readonly socket: Socket;
  /** Whole requests, in order. */
  readonly requests: Message[] = [];
  /** What was wrong with them, in words. */
  readonly faults: string[] = [];
  /** What came behind the last whole request, latin1. */
  tail = '';
  /** Number of bytes that came in all. */
  received = 0;
  end: 'open' | 'fin' | 'closed' = 'open';

  constructor(socket: Socket, respond: () => Respond) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('end', () => {
      this.end = 'fin';
    });
    socket.on('close', () => {
      this.end = 'closed';
    });
    socket.on('data', (chunk) => {
      this.received += chunk.length;
      this.tail += chunk.toString('latin1');
      for (const request of this.#takeWhole()) respond()(request, this);
    });
  }

  /** The request that has begun and is not whole yet. */
  unfinished(): Reading {
    return readMessages(this.tail, 'request');
  }

  write(bytes: string): void {
    if (!this.socket.destroyed) this.socket.write(bytes, 'latin1');
  }

  #takeWhole(): Message[] {
    const reading = readMessages(this.tail, 'request');
    const whole = reading.messages.filter((message) => message.complete);
    const last = whole.at(-1);
    if (last === undefined) return [];
    this.faults.push(...readMessages(this.tail.slice(0, last.end), 'request').faults);
    this.tail = this.tail.slice(last.end);
    this.requests.push(...whole);
    return whole;
  }
}

/** `METHOD TARGET` as the body of a 200. */
export const sayWhat: Respond = (request, connection) => {
  const what = request.start.split(' ').slice(0, 2).join(' ');
  const body = request.start.startsWith('HEAD ') ? '' : what;
  connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${what.length}\r\n\r\n${body}`);
};

export class RawNode {
  readonly port: number;
  readonly connections: RawConnection[] = [];
  respond: Respond = sayWhat;
  /** Called with each new connection, before its first byte. */
  onConnection: (connection: RawConnection) => void = () => {};
  readonly #server: Server;

  constructor(port: number) {
    this.port = port;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      const connection = new RawConnection(socket, () => this.respond);
      this.connections.push(connection);
      this.onConnection(connection);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Whole requests on all connections, by time of their connection. */
  requests(): Message[] {
    return this.connections.flatMap((connection) => connection.requests);
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port: this.port, host: '127.0.0.1' }, () => resolve());
    });
  }

  /** Its port refuses from now on; what is open stays open. */
  refuse(): void {
    this.#server.close();
  }

  /** Its port refuses afterwards. May be called twice. */
  async stop(): Promise<void> {
    for (const connection of this.connections) connection.socket.destroy();
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    await closed;
  }
}

export async function startRawNode(scope: Scope, port?: number): Promise<RawNode> {
  const node = scope.own(new RawNode(port ?? (await freePort())));
  await node.listen();
  return node;
}
