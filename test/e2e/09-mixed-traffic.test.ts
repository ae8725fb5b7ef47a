/**
 * Never another user's answer: every kind of body, both ways, at once, over connections that are aborted, paused and
 * pipelined at random, while nodes break connections at random. Each answer names its request and is made of bytes that
 * belong to no other. Afterwards nothing is in flight and nothing is left waiting.
 *
 * EVENKEEL_SOAK_SECONDS makes it run longer than its 6 s; EVENKEEL_SOAK_SEED repeats a run's choices.
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { until } from '../helpers/poll.ts';
import { type Scope, testScope } from '../helpers/scope.ts';

const seconds = Number(process.env['EVENKEEL_SOAK_SECONDS'] ?? 6);
/** Other choices with each run; where a run is a gate, the same ones, so that it judges the change alone. */
const seed = Number(
  process.env['EVENKEEL_SOAK_SEED'] ?? (process.env['CI'] === undefined ? Date.now() % 1_000_000 : 20_261),
);
const clients = 24;
/** More than the kernel takes for a client that reads slowly: the proxy has to hold on to its buffers. */
const large = 9_000_000;
const sizes = [0, 1, 100, 5_000, 16_384, 40_000, 65_536, 70_000, 300_000, 1_500_000];

const period = 65_521;
const base = Buffer.alloc(period + large);
for (let i = 0, word = 0x2545f491; i < period; i++) {
  word = (Math.imul(word, 1664525) + 1013904223) | 0;
  base[i] = word >>> 24;
}
for (let i = period; i < base.length; i += period) base.copyWithin(i, 0, Math.min(period, base.length - i));

/** A body that no other id has: the pattern from a place that the id gives. */
const bodyOf = (id: number, length: number): Buffer => {
  const from = (id * 7919) % period;
  return base.subarray(from, from + length);
};

const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!;

interface Ask {
  readonly id: number;
  readonly up: number;
  readonly down: number;
  readonly framing: 'sized' | 'chunked' | 'close';
  /** The node breaks the connection after this share of its answer; 1 = it doesn't. */
  readonly breaks: number;
}

/** A node that says which request it answers, and whether the upload was the right one. */
async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const ask = JSON.parse(String(incoming.headers['x-ask'] ?? 'null')) as Ask | null;
  if (ask === null) return void response.end('ok');
  const got: Buffer[] = [];
  for await (const chunk of incoming) got.push(chunk as Buffer);
  const whole = Buffer.concat(got).equals(bodyOf(ask.id, ask.up));
  response.setHeader('x-id', String(ask.id));
  response.setHeader('x-upload', whole ? 'right' : 'wrong');
  if (ask.framing === 'close') response.shouldKeepAlive = false;
  if (ask.framing === 'sized') response.setHeader('content-length', ask.down);
  if (ask.framing === 'close') response.useChunkedEncodingByDefault = false;
  const body = bodyOf(ask.id, ask.down);
  const cut = Math.floor(body.length * ask.breaks);
  for (let at = 0; at < body.length; ) {
    if (ask.breaks < 1 && at >= cut) return void response.destroy();
    const to = Math.min(body.length, at + 1 + ((ask.id * 31 + at) % 90_000));
    if (!response.write(body.subarray(at, to))) await new Promise((resolve) => response.once('drain', resolve));
    if (response.destroyed) return;
    at = to;
  }
  response.end();
}

async function startNode(scope: Scope, path: string | null): Promise<string> {
  const server = createServer((incoming, response) => {
    serve(incoming, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 300;
  await new Promise<void>((resolve) =>
    path === null ? server.listen(0, '127.0.0.1', resolve) : server.listen(path, resolve),
  );
  scope.own({
    stop: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
  return path === null ? `http://127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${path}`;
}

type Verdict = 'whole' | 'aborted' | 'cut' | { readonly wrong: string };

/** One request. A connection that breaks is no fault unless nobody broke it; wrong bytes always are. */
function askOnce(port: number, agent: Agent, plan: { ask: Ask; random: Random }): Promise<Verdict> {
  const { ask, random } = plan;
  const abortAt = random.next() < 0.1 ? random.below(ask.down + 1) : -1;
  const slow = ask.down === large || random.next() < 0.1;
  return new Promise((resolve) => {
    const upload = bodyOf(ask.id, ask.up);
    const method = ask.up > 0 ? 'POST' : 'GET';
    const outgoing = request({
      port,
      host: '127.0.0.1',
      agent,
      method,
      path: `/${ask.id}`,
      headers: { 'x-ask': JSON.stringify(ask) },
    });
    if (ask.up > 0 && ask.id % 2 === 0) outgoing.setHeader('content-length', ask.up);
    let aborted = false;
    const abort = (): void => {
      aborted = true;
      outgoing.destroy();
    };
    outgoing.on('error', () => resolve(abortAt >= 0 ? 'aborted' : 'cut'));
    outgoing.on('response', (answer) => {
      const expected = bodyOf(ask.id, ask.down);
      let at = 0;
      if (answer.statusCode !== 200) {
        answer.resume();
        answer.on('close', () => resolve(answer.statusCode! >= 500 ? 'cut' : { wrong: `status ${answer.statusCode}` }));
        return;
      }
      if (answer.headers['x-id'] !== String(ask.id))
        resolve({ wrong: `the answer of ${answer.headers['x-id']} to ${ask.id}` });
      if (answer.headers['x-upload'] !== 'right') resolve({ wrong: `the upload of ${ask.id} came out different` });
      answer.on('data', (chunk: Buffer) => {
        if (!chunk.equals(expected.subarray(at, at + chunk.length)))
          resolve({ wrong: `foreign bytes for ${ask.id} at ${at}` });
        at += chunk.length;
        if (abortAt >= 0 && at >= abortAt) abort();
        else if (slow) {
          answer.pause();
          setTimeout(() => answer.resume(), 5);
        }
      });
      answer.on('end', () => {
        // Node's client says `end`, and even `complete`, of an answer that it aborted itself.
        if (!answer.complete || aborted) resolve(abortAt >= 0 ? 'aborted' : 'cut');
        else
          resolve(
            at === ask.down ? 'whole' : { wrong: `${at} of ${ask.down} bytes passed for the whole of ${ask.id}` },
          );
      });
      answer.on('close', () => resolve(abortAt >= 0 ? 'aborted' : 'cut'));
      answer.on('error', () => {});
    });
    if (abortAt >= 0 && abortAt % 3 === 0) setTimeout(abort, abortAt % 50);
    outgoing.end(upload);
  });
}

describe('mixed traffic', () => {
  it(`keeps every answer with its request (seed ${seed})`, { timeout: (seconds + 240) * 1000 }, async () => {
    const scope = testScope();
    const folder = await scope.folder();
    const nodes = [
      await startNode(scope, null),
      await startNode(scope, null),
      await startNode(scope, join(folder, 'node.sock')),
    ];
    const ek = await startEvenkeel(scope, {
      workers: 2,
      pools: { app: { nodes, passive: { consecutiveErrors: 0 }, health: 'off', limits: { maxConnections: 6 } } },
    });
    const agent = new Agent({ keepAlive: true, maxSockets: clients });
    scope.own({ stop: () => agent.destroy() });
    const deadline = performance.now() + seconds * 1000;
    const wrong: string[] = [];
    const counts = { whole: 0, aborted: 0, cut: 0, unexpected: 0 };
    let ids = 0;
    const client = async (random: Random): Promise<void> => {
      while (performance.now() < deadline && wrong.length === 0) {
        const framing = pick(random, ['sized', 'chunked', 'close'] as const);
        // The end of a connection is all that tells the end of a `close` answer: a break there can't be told from it.
        const breaks = framing !== 'close' && random.next() < 0.05 ? random.next() : 1;
        const up = random.next() < 0.5 ? 0 : pick(random, sizes);
        const ask: Ask = {
          id: ++ids,
          up,
          down: random.next() < 0.04 ? large : pick(random, sizes),
          framing,
          breaks,
        };
        const verdict = await askOnce(ek.port, agent, { ask, random });
        if (typeof verdict === 'object') wrong.push(verdict.wrong);
        else {
          counts[verdict]++;
          if (verdict === 'cut' && breaks === 1) counts.unexpected++;
        }
      }
    };
    await Promise.all(Array.from({ length: clients }, (_, index) => client(seededRandom(seed + index))));
    expect(wrong).toEqual([]);
    expect(counts.whole).toBeGreaterThan(50);
    expect(counts.unexpected).toBe(0);
    agent.destroy();
    await until('nothing in flight', async () => {
      const pool = await ek.pool();
      return pool.active === 0 && pool.pending === 0 && pool.nodes.every((node) => node.inFlight === 0);
    });
    expect((await ek.stats()).threads.map((thread) => thread.exceptions)).toEqual([0, 0]);
  });
});
