/** Waiting until something that was started answers, and answers right. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import type { Process } from './process.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

export interface Answer {
  readonly status: number;
  readonly bytes: number;
}

const patienceMs = 20_000;

export function ask(target: Target, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const { host, port, tls } = target;
  return new Promise((resolve, reject) => {
    const options = { host, port, path, headers, agent: false, timeout: 5000, rejectUnauthorized: false };
    const request = (tls ? httpsRequest : httpRequest)(options, (response) => {
      let bytes = 0;
      response.on('data', (piece: Buffer) => (bytes += piece.length));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, bytes }));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`${path}: no answer within 5 s`)));
    request.on('error', reject);
    request.end();
  });
}

/** Resolves with the first answer of status 200; rejects if the process ends before, or after 20 s. */
export async function answers(
  process: Process,
  target: Target,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const deadline = performance.now() + patienceMs;
  let last = 'nothing';
  while (process.alive && performance.now() < deadline) {
    try {
      const answer = await ask(target, path, headers);
      if (answer.status === 200) return answer;
      last = `status ${answer.status}`;
    } catch (error) {
      last = (error as Error).message;
    }
    await pause(20);
  }
  const state = process.alive ? 'has not answered within 20 s' : 'ended';
  throw new Error(`process ${process.pid} ${state}; last: ${last}; it wrote:\n${process.output}`);
}
