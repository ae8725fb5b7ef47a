/**
 * Any traffic: random requests, cut into random pieces, pipelined over a few connections to nodes that misbehave at
 * random. What is held true after every run: an answer that is whole is the answer to its own request, in order; a
 * connection ends early only for a reason; nodes saw only whole, clean requests; and all is given back.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { finalOf, type Message, statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import type { RawClient } from '../../helpers/raw-client.ts';
import { type RawConnection, type RawNode, type Respond, startRawNode } from '../../helpers/raw-node.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { pool as poolRow } from '../../routing/fixtures.ts';
import { startWorld, type World } from '../world.ts';

/** What a node does with a request; the target names it, so that any node that gets the request does the same. */
const kinds = [
  'sized',
  'chunked',
  'close',
  'sized-close',
  'empty',
  'hints',
  'excess',
  'bytewise',
  'large',
  'reset',
  'half',
  'garbage',
] as const;
type Kind = (typeof kinds)[number];

/** Kinds after which a client may see 502, or the end of its connection. */
const broken: ReadonlySet<Kind> = new Set(['reset', 'half', 'garbage']);

interface Ask {
  readonly method: 'GET' | 'POST' | 'HEAD';
  readonly kind: Kind;
  /** Of its body; -1 = none. */
  readonly up: number;
  readonly chunked: boolean;
}

const answerOf = (target: string): string => `<${target}>`.repeat(target.includes('large') ? 3000 : 3);
const bodyOf = (target: string, length: number): string => `[${target}]`.repeat(length).slice(0, length);

const respond: Respond = (request, connection) => {
  const [method, target = ''] = request.start.split(' ');
  const kind = target.split('/')[2] as Kind;
  const body = method === 'HEAD' ? '' : answerOf(target);
  const sized = `HTTP/1.1 200 OK\r\nContent-Length: ${answerOf(target).length}\r\n`;
  const coded = method === 'HEAD' ? '' : `${body.length.toString(16)};x=y\r\n${body}\r\n0\r\nT: t\r\n\r\n`;
  const { socket } = connection;
  switch (kind) {
    case 'chunked':
      return connection.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${coded}`);
    case 'close':
      connection.write(`HTTP/1.1 200 OK\r\n\r\n${body}`);
      return void socket.end();
    case 'sized-close':
      connection.write(`${sized}Connection: close\r\n\r\n${body}`);
      return void socket.end();
    case 'empty':
      return connection.write('HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n');
    case 'hints':
      return connection.write(`HTTP/1.1 103 x\r\nLink: a\r\n\r\nHTTP/1.1 103 x\r\n\r\n${sized}\r\n${body}`);
    case 'excess':
      return connection.write(`${sized}\r\n${body}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`);
    case 'bytewise':
      return void bytewise(connection, `${sized}\r\n${body}`);
    case 'reset':
      return void socket.resetAndDestroy();
    case 'half':
      connection.write(`${sized}\r\n${body.slice(1)}`);
      if (method !== 'HEAD') socket.end();
      return;
    case 'garbage':
      return connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello');
    default:
      return connection.write(`${sized}\r\n${body}`);
  }
};

async function bytewise({ socket }: RawConnection, text: string): Promise<void> {
  for (const byte of text) {
    if (socket.destroyed) return;
    socket.write(byte, 'latin1');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function requestOf({ method, up, chunked }: Ask, target: string): string {
  const start = `${method} ${target} HTTP/1.1\r\nHost: h\r\n`;
  if (up < 0) return `${start}\r\n`;
  const body = bodyOf(target, up);
  if (!chunked) return `${start}Content-Length: ${up}\r\n\r\n${body}`;
  const [a, b] = [body.slice(0, up >> 1), body.slice(up >> 1)];
  const chunks = [a, b].filter((part) => part !== '').map((part) => `${part.length.toString(16)};e\r\n${part}\r\n`);
  return `${start}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`;
}

const ask: fc.Arbitrary<Ask> = fc.record({
  method: fc.constantFrom('GET', 'GET', 'POST', 'HEAD'),
  kind: fc.constantFrom(...kinds),
  up: fc.constantFrom(-1, -1, 0, 1, 100, 40_000),
  chunked: fc.boolean(),
});
const connection = fc.record({
  asks: fc.array(ask, { minLength: 1, maxLength: 6 }),
  /** Lengths of the pieces that are sent; the rest at once. */
  pieces: fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 8 }),
  /** Resets after so many bytes have come; -1 = never. */
  resetsAt: fc.oneof({ weight: 4, arbitrary: fc.constant(-1) }, fc.nat(500)),
  halfCloses: fc.boolean(),
});
type Script = typeof connection extends fc.Arbitrary<infer T> ? T : never;

async function play(client: RawClient, script: Script, targets: readonly string[]): Promise<void> {
  const methods = script.asks.map((one) => one.method);
  const bytes = script.asks.map((one, i) => requestOf(one, targets[i]!)).join('');
  let at = 0;
  for (const length of [...script.pieces, bytes.length]) {
    await client.send(bytes.slice(at, at + length), 'whole');
    await new Promise((resolve) => setImmediate(resolve));
    at += length;
    if (at >= bytes.length) break;
  }
  if (script.resetsAt >= 0) {
    const all = (): boolean => finalOf(client.read(methods)).filter((one) => one.complete).length === methods.length;
    const enough = (): boolean => client.received.length >= script.resetsAt || client.end !== 'open' || all();
    await until('enough to reset', enough, { everyMs: 1 });
    client.socket.resetAndDestroy();
    return;
  }
  if (script.halfCloses) client.halfClose();
  await client.answers(script.asks.length, { methods });
}

function check(client: RawClient, script: Script, targets: readonly string[]): void {
  const methods = script.asks.map((one) => one.method);
  const reading = client.read(methods);
  const finals = reading.messages.filter((message) => statusOf(message) >= 200);
  if (script.resetsAt < 0) expect(reading.faults).toEqual([]);
  finals.forEach((message, i) => {
    if (message.complete || script.resetsAt < 0) checkAnswer(message, script.asks[i]!, targets[i]!);
  });
  if (script.resetsAt >= 0 || finals.filter((message) => message.complete).length === script.asks.length) return;
  // It ended early: only a node that broke its answer, or an answer that came before the whole body, may do that.
  const last = finals.at(-1);
  const cut = script.asks.slice(0, finals.length + 1).some((one) => broken.has(one.kind));
  expect(cut || last?.lines.includes('Connection: close')).toBe(true);
}

function checkAnswer(message: Message, { method, kind }: Ask, target: string): void {
  if (!message.complete) return expect(broken.has(kind)).toBe(true);
  const status = statusOf(message);
  if (status === 502) return expect(broken.has(kind)).toBe(true);
  expect(status).toBe(kind === 'empty' ? 204 : 200);
  expect(kind === 'garbage' || kind === 'reset').toBe(false);
  if (kind === 'half') expect(method).toBe('HEAD');
  expect(message.body).toBe(method === 'HEAD' || kind === 'empty' ? '' : answerOf(target));
  expect(message.trailers).toEqual([]);
}

function checkNodes(used: readonly RawConnection[], sent: ReadonlyMap<string, Ask>): void {
  for (const one of used) {
    expect(one.faults).toEqual([]);
    for (const request of one.requests) {
      const [method, target = ''] = request.start.split(' ');
      const asked = sent.get(target);
      expect(asked?.method).toBe(method);
      expect(request.body).toBe(bodyOf(target, Math.max(asked!.up, 0)));
    }
  }
}

async function start(scope: Scope): Promise<{ world: World; nodes: RawNode[] }> {
  const nodes = [await startRawNode(scope), await startRawNode(scope)];
  for (const node of nodes) node.respond = respond;
  const { retry } = poolRow('app', 2);
  const world = await startWorld(scope, nodes, { pool: { errorsToEject: 0, retry: { ...retry, backoff: 1 } } });
  return { world, nodes };
}

describe('any traffic', () => {
  it('every whole answer belongs to its request; nodes see clean requests; all is given back', async () => {
    const { world, nodes } = await start(testScope());
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(connection, { minLength: 1, maxLength: 4 }), async (scripts) => {
        const sent = new Map<string, Ask>();
        const played = scripts.map((script) => {
          const targets = script.asks.map((one) => `/${count++}/${one.kind}`);
          script.asks.forEach((one, i) => {
            sent.set(targets[i]!, one);
          });
          return { client: world.client(), script, targets };
        });
        const before = nodes.map((node) => node.connections.length);
        await Promise.all(played.map(({ client, script, targets }) => play(client, script, targets)));
        for (const { client, script, targets } of played) check(client, script, targets);
        for (const { client } of played) client.stop();
        await until('all clients gone', () => world.connections === 0);
        const used = nodes.flatMap((node, i) => node.connections.slice(before[i]));
        checkNodes(used, sent);
        for (const one of used) one.socket.destroy();
        await until('all upstream connections gone', () => world.upstreams === 0);
        expect([world.inFlight, world.pending, world.exceptions]).toEqual([0, 0, 0]);
      }),
      { numRuns: 150, endOnFailure: true },
    );
    await world.quiet();
    expect(world.outcomes.length).toBeGreaterThan(300);
  });
});
