/** The admin API of one member, asked by a client that knows what became of each request. */
import { Pool } from 'undici';
import type { Seat } from './processes.ts';

export interface Answer {
  readonly got: true;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/** No answer. `sent` false: nobody can have read it. */
export interface NoAnswer {
  readonly got: false;
  readonly status: 0;
  readonly sent: boolean;
  readonly why: string;
}

export type Reply = Answer | NoAnswer;

export interface AskOptions {
  readonly method?: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly body?: object;
  /** Default: longer than any member thinks about an answer. */
  readonly withinMs?: number;
}

const answerMs = 12_000;
const unsent: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT', 'UND_ERR_CONNECT_TIMEOUT']);

export class Api {
  readonly seat: Seat;
  readonly #pool: Pool;

  constructor(seat: Seat) {
    this.seat = seat;
    this.#pool = new Pool(`http://127.0.0.1:${seat.admin}`, {
      connections: 128,
      connect: seat.socket === null ? {} : { socketPath: seat.socket },
    });
  }

  async ask(path: string, { method = 'GET', body, withinMs = answerMs }: AskOptions = {}): Promise<Reply> {
    try {
      const reply = await this.#pool.request({
        path,
        method,
        headersTimeout: withinMs,
        bodyTimeout: withinMs,
        ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      const shown = (await reply.body.json()) as Answer['body'];
      return { got: true, status: reply.statusCode, headers: reply.headers, body: shown };
    } catch (error) {
      const { code = '', message } = error as { readonly code?: string; readonly message: string };
      return { got: false, status: 0, sent: !unsent.has(code), why: `${code} ${message}` };
    }
  }

  /** What an answer must have; throws with what came instead. */
  async get(path: string): Promise<Answer['body']> {
    const reply = await this.ask(path);
    if (reply.status === 200) return reply.body;
    throw new Error(`${this.seat.name} ${path}: ${JSON.stringify(reply)}`);
  }

  stop(): Promise<void> {
    return this.#pool.destroy();
  }
}
