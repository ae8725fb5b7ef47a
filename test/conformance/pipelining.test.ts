/**
 * The same tables through pools that pipeline to their nodes. And each answer of a node once more with another client's
 * request behind it on the same connection: whatever the first one gets, the other gets its own.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { statusOf } from '../helpers/http-bytes.ts';
import { until } from '../helpers/poll.ts';
import { get, RawClient } from '../helpers/raw-client.ts';
import { type RawConnection, sayWhat } from '../helpers/raw-node.ts';
import { Scope } from '../helpers/scope.ts';
import { type Expanded, headBytes, type RequestCase, type ResponseCase, readTable } from './cases.ts';
import { canary, judgeRequest, judgeResponse, judgeThreeWays, type Lane } from './judge.ts';
import { type Lanes, openLanes } from './lanes.ts';

const scope = new Scope();
let lanes: Lanes;
beforeAll(async () => {
  lanes = await openLanes(scope, { pipelining: 8 });
});
afterAll(() => scope.stop());

for (const table of ['request-framing.yaml', 'request-line.yaml', 'fields.yaml', 'forwarding.yaml']) {
  describe.concurrent(table, () => {
    for (const one of readTable<RequestCase>(table)) {
      it(one.title, async () => {
        expect(await lanes.with((lane) => judgeThreeWays((pieces) => judgeRequest(lane, one, pieces)))).toEqual([]);
      });
    }
  });
}

describe.concurrent('responses.yaml', () => {
  for (const one of readTable<ResponseCase>('responses.yaml')) {
    it(one.title, async () => {
      expect(await lanes.with((lane) => judgeThreeWays((pieces) => judgeResponse(lane, one, pieces)))).toEqual([]);
    });
  }
});

/** A whole answer behind an answer is the one fault that can't be seen: docs/SECURITY.md says what it takes to trust a node. */
const unseen = (title: string): boolean => title.includes('poison');

/** Only what may share. */
const shares = ({ request }: ResponseCase): boolean => request === undefined || request.startsWith('GET');

let neighbours = 0;

async function judgeNeighbour(lane: Lane, one: Expanded<ResponseCase>): Promise<string[]> {
  const target = `/neighbour-${++neighbours}`;
  let shared: RawConnection | null = null;
  lane.node.respond = (message, connection) => {
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
  const [first, second] = [new RawClient(lane.where), new RawClient(lane.where)];
  try {
    await Promise.all([first.connected, second.connected]);
    await first.send(headBytes(one.it.request ?? 'GET /case HTTP/1.1\nHost: ek.test'));
    const seen = (): boolean => lane.node.connections.some((each) => each.requests.at(-1)?.start.includes('/case'));
    await until('the first at the node', seen, { everyMs: 1 });
    await second.send(get(target));
    const [answer] = await second.answers(1, { withinMs: 8000 });
    const got = answer === undefined ? `nothing; connection ${second.end}` : `${statusOf(answer)} ${answer.body}`;
    return got === `200 GET ${target}` ? [] : [`the neighbour got ${got}`];
  } catch (error) {
    return [(error as Error).message];
  } finally {
    first.socket.resetAndDestroy();
    second.stop();
    for (const connection of lane.node.connections) connection.socket.destroy();
    lane.node.connections.length = 0;
  }
}

describe.concurrent('responses.yaml, with a neighbour behind', () => {
  for (const one of readTable<ResponseCase>('responses.yaml')) {
    if (unseen(one.title) || !shares(one.it)) continue;
    it(one.title, async () => {
      expect(await lanes.with(async (lane) => [...(await judgeNeighbour(lane, one)), ...(await canary(lane))])).toEqual(
        [],
      );
    });
  }
});

describe('after all of it', () => {
  it('no exception was caught, nothing is in flight', async () => {
    const active = async (): Promise<number[]> => (await lanes.evenkeel.stats()).pools.map((pool) => pool.active);
    await until('no exchange is left', async () => (await active()).every((count) => count === 0)).catch(() => {});
    const { threads, pools } = await lanes.evenkeel.stats();
    expect(threads.map((thread) => [thread.exceptions, thread.restarts])).toEqual([[0, 0]]);
    expect(pools.map((pool) => pool.active)).toEqual(pools.map(() => 0));
  });
});
