/**
 * The same tables through a pool that pipelines to its node. And each answer of a node once more with another client's
 * request behind it on the same connection: whatever the first one gets, the other gets its own.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { statusOf } from '../helpers/http-bytes.ts';
import { until } from '../helpers/poll.ts';
import { get } from '../helpers/raw-client.ts';
import { type RawConnection, type RawNode, sayWhat, startRawNode } from '../helpers/raw-node.ts';
import { Scope } from '../helpers/scope.ts';
import { startWorld, type World } from '../proxy/world.ts';
import { pool as poolRow } from '../routing/fixtures.ts';
import { type Expanded, headBytes, type RequestCase, type ResponseCase, readTable } from './cases.ts';
import { canary, judgeRequest, judgeResponse, judgeThreeWays, type Lane } from './judge.ts';

const scope = new Scope();
let world: World;
let node: RawNode;
let lane: Lane;
beforeAll(async () => {
  node = await startRawNode(scope);
  const { retry, upstream } = poolRow('app', 1);
  const pool = { errorsToEject: 0, retry: { ...retry, attempts: 1 }, upstream: { ...upstream, pipelining: 8 } };
  world = await startWorld(scope, [node], { pool });
  lane = { where: world.port, node };
});
afterAll(() => scope.stop());

/** What one case made of the node is forgotten: another one comes in its place, and is shared. */
function another(): void {
  world.nodes = world.nodes.map((row) => ({ ...row, generation: row.generation + 1 }));
  world.swap();
}

for (const table of ['request-framing.yaml', 'request-line.yaml', 'fields.yaml', 'forwarding.yaml']) {
  describe(table, () => {
    for (const one of readTable<RequestCase>(table)) {
      it(one.title, async () => {
        another();
        expect(await judgeThreeWays((pieces) => judgeRequest(lane, one, pieces))).toEqual([]);
      });
    }
  });
}

/** Answers behind which some nodes send a body that belongs to nobody, and those of HTTP/1.0: not on a shared connection. */
function asShared(one: Expanded<ResponseCase>): Expanded<ResponseCase> {
  const { it } = one;
  const ends =
    it.request?.startsWith('HEAD') === true ||
    one.bytes.startsWith('HTTP/1.0') ||
    /^HTTP\/1.1 (204|304)[\s\S]*Transfer-Encoding/.test(one.bytes) ||
    /^HTTP\/1.1 204[\s\S]*Content-Length: [1-9]/.test(one.bytes);
  return ends && it.connection === 'kept' ? { ...one, it: { ...it, connection: 'destroyed' } } : one;
}

describe('responses.yaml', () => {
  for (const one of readTable<ResponseCase>('responses.yaml')) {
    it(one.title, async () => {
      const judged = await judgeThreeWays((pieces) => {
        another();
        return judgeResponse(lane, asShared(one), pieces);
      });
      expect(judged).toEqual([]);
    });
  }
});

/** A whole answer behind an answer is the one fault that can't be seen: docs/SECURITY.md says what it takes to trust a node. */
const unseen = (title: string): boolean => title.includes('poison');

/** Only what may share. */
const shares = ({ request }: ResponseCase): boolean =>
  request === undefined || (request.startsWith('GET') && !request.includes('Upgrade'));

let neighbours = 0;

async function judgeNeighbour(one: Expanded<ResponseCase>): Promise<string[]> {
  const target = `/neighbour-${++neighbours}`;
  let shared: RawConnection | null = null;
  node.respond = (message, connection) => {
    const { requests } = connection;
    const behind =
      requests.at(-2)?.start.includes('/case') === true && requests.at(-1)?.start.includes(target) === true;
    if (shared === null && behind && message === requests.at(-1)) {
      shared = connection;
      connection.write(one.bytes);
      if (one.it.then === 'fin') connection.socket.end();
      else if (one.it.then === 'reset') connection.socket.resetAndDestroy();
      else sayWhat(message, connection);
    } else if (!message.start.includes('/case')) sayWhat(message, connection);
    else if (shared !== null) connection.write(one.bytes);
  };
  const [first, second] = [world.client(), world.client()];
  try {
    await Promise.all([first.connected, second.connected]);
    await first.send(headBytes(one.it.request ?? 'GET /case HTTP/1.1\nHost: ek.test'));
    const seen = (): boolean => node.connections.some((each) => each.requests.at(-1)?.start.includes('/case'));
    await until('the first at the node', seen, { everyMs: 1 });
    await second.send(get(target));
    const [answer] = await second.answers(1);
    const got = answer === undefined ? `nothing; connection ${second.end}` : `${statusOf(answer)} ${answer.body}`;
    if (shared === null) return ['they did not share a connection'];
    return got === `200 GET ${target}` ? [] : [`the neighbour got ${got}`];
  } catch (error) {
    return [(error as Error).message];
  } finally {
    first.socket.resetAndDestroy();
    second.stop();
    for (const connection of node.connections.splice(0)) connection.socket.destroy();
  }
}

describe('responses.yaml, with a neighbour behind', () => {
  for (const one of readTable<ResponseCase>('responses.yaml')) {
    if (unseen(one.title) || !shares(one.it)) continue;
    it(one.title, async () => {
      another();
      expect([...(await judgeNeighbour(one)), ...(await canary(lane))]).toEqual([]);
    });
  }
});

it('after all of it: no exception, nothing is held, and connections were shared', async () => {
  expect(world.exceptions).toBe(0);
  expect(world.count('pipelinedWrites')).toBeGreaterThan(1000);
  await world.quiet();
});
