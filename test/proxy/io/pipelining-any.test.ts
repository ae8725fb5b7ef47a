/**
 * Any traffic over shared connections: clients ask for their own targets, one by one or ahead, and some go away at random;
 * nodes answer in order, in random pieces, and end connections at random. Each whole answer is the answer to its own request;
 * only a request whose own answer is broken fails; and all is given back.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { finalOf, statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { get, type RawClient } from '../../helpers/raw-client.ts';
import { type RawConnection, type RawNode, startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { pool as poolRow } from '../../routing/fixtures.ts';
import { startWorld, type World } from '../world.ts';

/** What a node does with a request; the target names it, so that any node that gets it does the same. */
const kinds = [
  ...['sized', 'sized', 'sized', 'chunked', 'empty', 'not-modified', 'hints', 'bytewise', 'large', 'busy'],
  ...['sized', 'sized', 'sized', 'chunked', 'empty', 'not-modified', 'hints', 'bytewise', 'sized', 'busy'],
  ...['sized-close', 'close', 'minor-0', 'drop-after', 'reset-after'],
  ...['reset', 'drop', 'half', 'garbage'],
] as const;
/** Kinds after which a client may see 502, or the end of its connection. */
const broken: ReadonlySet<string> = new Set(['reset', 'drop', 'half', 'garbage']);

const bodyOf = (target: string): string => `<${target}>`.repeat(target.endsWith('large') ? 3000 : 2);
const withLength = (body: string, ...lines: readonly string[]): string =>
  ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...lines, '', body].join('\r\n');

const texts: Readonly<Record<string, (body: string) => string>> = {
  chunked: (body) =>
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)};x\r\n${body}\r\n0\r\nT: t\r\n\r\n`,
  empty: () => 'HTTP/1.1 204 No Content\r\n\r\n',
  'not-modified': () => 'HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n',
  hints: (body) => `HTTP/1.1 103 x\r\nLink: a\r\n\r\n${withLength(body)}`,
  busy: () => 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy',
  'sized-close': (body) => withLength(body, 'Connection: close'),
  close: (body) => `HTTP/1.1 200 OK\r\n\r\n${body}`,
  'minor-0': (body) => withLength(body).replace('HTTP/1.1', 'HTTP/1.0'),
  half: (body) => withLength(body).slice(0, -1),
  garbage: (body) => `HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n${body}`,
  reset: () => '',
  drop: () => '',
};
const ending: ReadonlySet<string> = new Set(['sized-close', 'close', 'minor-0', 'half', 'drop', 'drop-after']);

/** Answers the requests of a connection one after the other, however long one takes. */
class Server {
  readonly #connection: RawConnection;
  readonly #cut: () => number;
  #turn: Promise<void> = Promise.resolve();

  constructor(connection: RawConnection, cut: () => number) {
    this.#connection = connection;
    this.#cut = cut;
  }

  answer(target: string): void {
    this.#turn = this.#turn.then(() => this.#answer(target));
  }

  async #answer(target: string): Promise<void> {
    const kind = target.split('/')[2]!;
    const { socket } = this.#connection;
    // Behind an end nothing follows: a reset there would take the end of the answer with it.
    if (socket.writableEnded) return;
    const text = (texts[kind] ?? withLength)(bodyOf(target));
    const cut = kind === 'bytewise' ? 1 : Math.max(this.#cut(), text.length / 60);
    for (let at = 0; at < text.length && !socket.writableEnded; at += cut) {
      this.#connection.write(text.slice(at, at + cut));
      if (cut < text.length) await new Promise((resolve) => setImmediate(resolve));
    }
    if (kind === 'reset' || kind === 'reset-after') socket.resetAndDestroy();
    else if (ending.has(kind)) socket.end();
  }
}

const script = fc.record({
  asks: fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 6 }),
  /** All at once, or one after the other. */
  ahead: fc.boolean(),
  /** Resets after so many bytes have come; -1 = never. */
  resetsAt: fc.oneof({ weight: 5, arbitrary: fc.constant(-1) }, fc.nat(300)),
});
type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;

const whole = (client: RawClient): number => finalOf(client.read()).filter((one) => one.complete).length;

async function play(client: RawClient, { asks, ahead, resetsAt }: Script, targets: readonly string[]): Promise<void> {
  const leaves = (): boolean => resetsAt >= 0 && client.received.length >= resetsAt;
  const over = (count: number): boolean => client.end !== 'open' || leaves() || whole(client) >= count;
  if (ahead) await client.send(targets.map((target) => get(target)).join(''));
  for (let i = 0; i < asks.length && client.end === 'open' && !leaves(); i++) {
    if (!ahead) await client.send(get(targets[i]!));
    await until('an answer', () => over(i + 1), { everyMs: 1 });
  }
  if (leaves()) client.socket.resetAndDestroy();
}

function check(client: RawClient, { asks, resetsAt }: Script, targets: readonly string[]): void {
  const finals = client.read().messages.filter((one) => statusOf(one) >= 200);
  if (resetsAt < 0) expect(client.read().faults).toEqual([]);
  finals.forEach((message, i) => {
    const kind = asks[i]!;
    const status = statusOf(message);
    if (!message.complete || status === 502) {
      expect(broken.has(kind) || (resetsAt >= 0 && status !== 502)).toBe(true);
      return;
    }
    const expected = { empty: 204, 'not-modified': 304, busy: 503 }[kind as string] ?? 200;
    expect([targets[i], status]).toEqual([targets[i], expected]);
    if (expected === 200) expect(message.body).toBe(bodyOf(targets[i]!));
  });
  if (resetsAt < 0 && finals.filter((one) => one.complete).length < asks.length) {
    expect(asks.slice(0, finals.length + 1).some((kind) => broken.has(kind))).toBe(true);
  }
}

async function start(cut: () => number): Promise<{ world: World; nodes: readonly RawNode[] }> {
  const scope = testScope();
  const nodes = [await startRawNode(scope), await startRawNode(scope)];
  const servers = new Map<RawConnection, Server>();
  for (const node of nodes) {
    node.respond = (request, connection) => {
      const server = servers.get(connection) ?? new Server(connection, cut);
      servers.set(connection, server);
      server.answer(request.start.split(' ')[1]!);
    };
  }
  const { retry, upstream } = poolRow('app', 2);
  const pool = {
    errorsToEject: 0,
    retry: { ...retry, backoff: 1 },
    upstream: { ...upstream, connectTimeout: 10_000, pipelining: 4 },
  };
  return { world: await startWorld(scope, nodes, { pool }), nodes };
}

it("each client gets its own answers and none of another's, whatever nodes and other clients do; all is given back", async () => {
  let cuts: readonly number[] = [1000];
  let turn = 0;
  const { world, nodes } = await start(() => cuts[turn++ % cuts.length]!);
  let count = 0;
  const shared = (): number => world.count('requests', 0) - world.count('pipelinedWrites', 0);
  await fc.assert(
    fc.asyncProperty(
      fc.array(script, { minLength: 3, maxLength: 10 }),
      fc.array(fc.constantFrom(3, 40, 150, 100_000), { minLength: 1, maxLength: 5 }),
      async (scripts, lengths) => {
        cuts = lengths;
        const played = scripts.map((one) => ({
          client: world.client(),
          script: one,
          targets: one.asks.map((kind) => `/${count++}/${kind}`),
        }));
        await Promise.all(played.map(({ client }) => client.connected));
        await Promise.all(played.map(({ client, script, targets }) => play(client, script, targets)));
        for (const { client, script, targets } of played) check(client, script, targets);
        for (const { client } of played) client.stop();
        await until('all clients gone', () => world.connections === 0);
        for (const connection of nodes.flatMap((node) => node.connections)) connection.socket.destroy();
        await until('all upstream connections gone', () => world.upstreams === 0);
        expect([world.inFlight, world.pending, world.exceptions]).toEqual([0, 0, 0]);
        expect(nodes.flatMap((node) => node.connections).flatMap((one) => one.faults)).toEqual([]);
        for (const node of nodes) node.connections.length = 0;
        // Pauses after broken connections end with the node's generation: the next run shares again.
        world.nodes = world.nodes.map((node) => ({ ...node, generation: node.generation + 1 }));
        world.swap();
      },
    ),
    { numRuns: 80, endOnFailure: true },
  );
  await world.quiet();
  expect(shared()).toBeGreaterThan(30);
  expect(world.count('pipelinedAgain', 0)).toBeGreaterThan(10);
}, 240_000);
