/**
 * A client that sends exactly the bytes it is given, in the pieces it is told, and tells what came back and how the
 * connection ended. It half-closes only when asked to, and keeps reading until it has what it waits for.
 */
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { finalOf, type Message, type Reading, readMessages } from './http-bytes.ts';
import { patienceMs, pause } from './poll.ts';

/** One write; a write per byte; a write per line. */
export type Pieces = 'whole' | 'bytes' | 'lines';
export const allPieces: readonly Pieces[] = ['whole', 'bytes', 'lines'];

/** A port on 127.0.0.1, the same from another address of the loopback, one that speaks TLS, or the path of a unix socket. */
export type Where =
  | number
  | string
  | { readonly port: number; readonly from: string }
  | { readonly tls: number; readonly options?: ConnectionOptions };

function dial(where: Where): Socket {
  const options = { host: '127.0.0.1', allowHalfOpen: true, noDelay: true };
  if (typeof where === 'string') return connect({ path: where, allowHalfOpen: true });
  if (typeof where === 'number') return connect({ ...options, port: where });
  if ('from' in where) return connect({ ...options, port: where.port, localAddress: where.from });
  return connectTls({ ...options, port: where.tls, rejectUnauthorized: false, ...where.options });
}

export class RawClient {
  readonly socket: Socket;
  /** latin1. */
  received = '';
  end: 'open' | 'fin' | 'reset' = 'open';
  readonly connected: Promise<void>;
  readonly #changed = new Set<() => void>();

  constructor(where: Where) {
    this.socket = dial(where);
    this.connected = new Promise((resolve, reject) => {
      this.socket.once(typeof where === 'object' && 'tls' in where ? 'secureConnect' : 'connect', () => resolve());
      this.socket.once('error', reject);
    });
    this.connected.catch(() => {});
    this.socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1');
      this.#tell();
    });
    this.socket.on('end', () => this.#ended('fin'));
    this.socket.on('error', () => this.#ended('reset'));
    this.socket.on('close', () => this.#ended('reset'));
  }

  /** Writes the bytes in pieces. A write that fails is no error here: the peer may refuse at any byte. */
  async send(bytes: string, pieces: Pieces = 'whole'): Promise<void> {
    await this.connected;
    for (const piece of cut(bytes, pieces)) {
      if (this.socket.destroyed || this.end === 'reset') return;
      this.socket.write(piece, 'latin1');
      // A turn of the loop per piece, so that each one leaves in a segment of its own.
      if (pieces !== 'whole') await new Promise((resolve) => setImmediate(resolve));
    }
  }

  halfClose(): void {
    this.socket.end();
  }

  read(methods: readonly string[] = []): Reading {
    return readMessages(this.received, 'response', { methods, ended: this.end === 'fin' });
  }

  /** Waits until it has so many whole final answers, or the connection has ended. */
  async answers(
    count: number,
    options: { readonly methods?: readonly string[]; readonly withinMs?: number } = {},
  ): Promise<Message[]> {
    const whole = (): Message[] => finalOf(this.read(options.methods)).filter((message) => message.complete);
    await this.#when(() => this.end !== 'open' || whole().length >= count, `${count} answers`, options.withinMs);
    return whole();
  }

  /** Waits for the end of the connection; says how it ended. */
  async ended(withinMs?: number): Promise<'fin' | 'reset'> {
    await this.#when(() => this.end !== 'open', 'end of the connection', withinMs);
    return this.end === 'fin' ? 'fin' : 'reset';
  }

  /** Waits until so many bytes, or this text, have come. */
  async sees(what: number | string, withinMs?: number): Promise<void> {
    const there = (): boolean =>
      typeof what === 'number' ? this.received.length >= what : this.received.includes(what);
    await this.#when(() => there() || this.end !== 'open', JSON.stringify(what), withinMs);
    if (!there())
      throw new Error(`connection ended (${this.end}) before ${JSON.stringify(what)}; came: ${this.#shown()}`);
  }

  stop(): void {
    this.socket.destroy();
  }

  async #when(condition: () => boolean, what: string, withinMs = patienceMs): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!condition()) {
      if (performance.now() > deadline) {
        throw new Error(`client waited ${withinMs} ms for ${what}; connection ${this.end}; came: ${this.#shown()}`);
      }
      await Promise.race([new Promise<void>((resolve) => this.#changed.add(resolve)), pause(100)]);
    }
  }

  #ended(how: 'fin' | 'reset'): void {
    if (this.end === 'open') this.end = how;
    this.#tell();
  }

  #tell(): void {
    for (const resolve of this.#changed) resolve();
    this.#changed.clear();
  }

  #shown(): string {
    return JSON.stringify(this.received.slice(0, 400));
  }
}

/** Bytes that are longer than this don't get a write each: 32 KiB of them would only measure the loop. */
const longest = 3000;

function cut(bytes: string, pieces: Pieces): string[] {
  if (pieces === 'whole') return [bytes];
  if (pieces === 'lines') return bytes.split(/(?<=\r)(?=\n)/);
  const step = Math.ceil(bytes.length / longest);
  return Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) => bytes.slice(i * step, (i + 1) * step));
}

/** One request on a connection of its own; its whole answer. */
export async function ask(where: Where, bytes: string, method = bytes.slice(0, bytes.indexOf(' '))): Promise<Message> {
  const client = new RawClient(where);
  try {
    await client.send(bytes);
    const [answer] = await client.answers(1, { methods: [method] });
    if (answer === undefined)
      throw new Error(
        `no whole answer; connection ${client.end}; came: ${JSON.stringify(client.received.slice(0, 400))}`,
      );
    return answer;
  } finally {
    client.stop();
  }
}

/** A GET as plain as can be. */
export const get = (target: string, ...lines: readonly string[]): string =>
  [`GET ${target} HTTP/1.1`, 'Host: ek.test', ...lines, '', ''].join('\r\n');
