/**
 * A raw client connection for what no load tool does: it asks when it is told to, and knows when the answer is whole (by
 * Content-Length; every answer that it is used for has one). Ended by reset, so that no port waits in TIME_WAIT.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Target } from '../ready.ts';

export interface ConnectionEvents {
  /** Connected, and with TLS: shaken hands. */
  readonly onOpen: () => void;
  /** First byte of an answer. */
  readonly onFirst?: () => void;
  /** An answer is whole. */
  readonly onAnswer: (status: number) => void;
  /** Once; `wanted` is false if it came without close(). */
  readonly onEnd: (wanted: boolean) => void;
}

export const requestText = (path: string, fields: Readonly<Record<string, string>> = {}): string =>
  `GET ${path} HTTP/1.1\r\nHost: bench.example.com\r\n${Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;

export class Connection {
  readonly socket: Socket;
  readonly #raw: Socket;
  readonly #events: ConnectionEvents;
  #head = '';
  #left = -1;
  #status = 0;
  #wanted = false;

  constructor(target: Target, events: ConnectionEvents) {
    this.#events = events;
    this.#raw = connect({ host: target.host, port: target.port, noDelay: true });
    this.socket = target.tls ? connectTls({ socket: this.#raw, rejectUnauthorized: false }) : this.#raw;
    this.socket.once(target.tls ? 'secureConnect' : 'connect', events.onOpen);
    this.socket.on('error', () => {});
    this.#raw.on('error', () => {});
    this.socket.once('close', () => events.onEnd(this.#wanted));
  }

  /** Without it, what comes is left in the kernel. */
  listen(): void {
    this.socket.on('data', (piece: Buffer) => this.#take(piece));
  }

  ask(text: string): void {
    this.socket.write(text, 'latin1');
  }

  close(): void {
    this.#wanted = true;
    this.#raw.resetAndDestroy();
    this.socket.destroy();
  }

  #take(piece: Buffer): void {
    if (this.#left < 0) {
      if (this.#head === '') this.#events.onFirst?.();
      this.#head += piece.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head);
      this.#status = Number(this.#head.slice(9, 12));
      this.#left = Number(length?.[1] ?? 0) - (this.#head.length - end - 4);
    } else this.#left -= piece.length;
    if (this.#left > 0) return;
    this.#left = -1;
    this.#head = '';
    this.#events.onAnswer(this.#status);
  }
}
