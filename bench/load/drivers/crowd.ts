/** Crowds of connections: opened at once, one after another by so many, or opened and then silent. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Target } from '../ready.ts';
import { Connection, requestText } from './connection.ts';

/** Connections that may be on their way at a time where a crowd is only to be there: backlogs are no part of that. */
const openingAtOnce = 128;
const patienceMs = 60_000;

export interface FirstAnswers {
  /** Milliseconds from connect to the first byte of the answer. */
  readonly times: readonly number[];
  readonly errors: number;
}

/** Opens `count` connections in one turn of the loop; each asks once. */
export async function burst(target: Target, path: string, count: number): Promise<FirstAnswers> {
  const times: number[] = [];
  let errors = 0;
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const start = performance.now();
      const connection = new Connection(target, {
        onOpen: () => connection.ask(requestText(path)),
        onFirst: () => times.push(performance.now() - start),
        onAnswer: (status) => {
          if (status !== 200) errors += 1;
          connection.close();
        },
        onEnd: (wanted) => {
          if (!wanted) errors += 1;
          resolve();
        },
      });
      connection.listen();
    });
  await Promise.all(Array.from({ length: count }, one));
  return { times, errors };
}

/** `atOnce` clients, each of which connects, asks, closes and begins again, until the time is over. */
export async function oneAfterAnother(
  target: Target,
  path: string,
  options: { readonly atOnce: number; readonly seconds: number },
): Promise<FirstAnswers & { readonly seconds: number }> {
  const begin = performance.now();
  const end = begin + options.seconds * 1000;
  const times: number[] = [];
  let errors = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      const answered = await burst(target, path, 1);
      times.push(...answered.times);
      errors += answered.errors;
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, client));
  return { times, errors, seconds: (performance.now() - begin) / 1000 };
}

export interface CrowdOptions {
  readonly path: string;
  readonly count: number;
  /** Upgrade to a WebSocket. */
  readonly webSocket: boolean;
  /** Take no byte of the answer. */
  readonly stalled: boolean;
}

/** Connections that have asked, and (unless stalled) were answered, and now say nothing. */
export class Crowd {
  readonly #connections: Connection[] = [];
  #lost = 0;

  /** How many are gone that should be there. */
  get lost(): number {
    return this.#lost;
  }

  async gather(target: Target, options: CrowdOptions): Promise<void> {
    const fields = options.webSocket
      ? {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        }
      : {};
    const text = requestText(options.path, fields);
    const deadline = performance.now() + patienceMs;
    for (let opened = 0; opened < options.count; opened += openingAtOnce) {
      const many = Math.min(openingAtOnce, options.count - opened);
      const arrived = Promise.all(Array.from({ length: many }, () => this.#join(target, text, options.stalled)));
      if (performance.now() > deadline) throw new Error(`only ${opened} of ${options.count} connections within 60 s`);
      await Promise.race([arrived, pause(deadline - performance.now(), undefined, { ref: false })]);
    }
  }

  close(): void {
    for (const one of this.#connections) one.close();
  }

  #join(target: Target, text: string, stalled: boolean): Promise<void> {
    return new Promise((resolve) => {
      const connection = new Connection(target, {
        onOpen: () => {
          connection.ask(text);
          if (stalled) resolve();
        },
        onAnswer: (status) => {
          if (status !== 200 && status !== 101) this.#lost += 1;
          resolve();
        },
        onEnd: (wanted) => {
          if (!wanted) this.#lost += 1;
          resolve();
        },
      });
      if (stalled) connection.socket.pause();
      else connection.listen();
      this.#connections.push(connection);
    });
  }
}
