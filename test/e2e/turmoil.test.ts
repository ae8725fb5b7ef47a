/**
 * Everything at once: nodes are killed and come back, configs change, nodes are drained, clients come and go. Through all
 * of it no GET fails, and every answer is the answer to its own request. The order of events is drawn from a seed
 * (TURMOIL_SEED), which a red run prints.
 */
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
import { type Message, statusOf } from '../helpers/http-bytes.ts';
import { Load } from '../helpers/load.ts';
import { type AppNode, startAppNodes } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { get, RawClient } from '../helpers/raw-client.ts';
import { testScope } from '../helpers/scope.ts';

const seed = Number(process.env['TURMOIL_SEED'] ?? 11);
const events = 24;

const settings = (nodes: readonly AppNode[], weights: readonly number[], balance: string): Record<string, unknown> => ({
  workers: 2,
  pools: {
    app: {
      balance,
      nodes: nodes.map((node, i) => ({ id: node.name, url: node.url, weight: weights[i] ?? 1 })),
      health: {
        path: '/health',
        timeout: '10s',
        interval: '100ms',
        fastInterval: '50ms',
        downInterval: '100ms',
        fall: 2,
        rise: 2,
      },
    },
  },
});

const wish = async (ek: Evenkeel, node: string, value: string): Promise<void> => {
  const init = {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ wish: value }),
  };
  expect((await ek.admin(`/api/pools/app/nodes/${node}`, init)).status).toBe(200);
};

describe('turmoil', () => {
  it(`no GET fails and no answer goes astray (seed ${seed})`, async () => {
    const scope = testScope();
    const random = seededRandom(seed);
    const nodes = await startAppNodes(scope, 'a', 'b', 'c');
    const balances = ['least-connections', 'round-robin', 'weighted', 'random-two', 'peak-ewma'];
    const ek = await startEvenkeel(scope, settings(nodes, [], balances[0]!));
    await ek.fit(3);

    let asked = 0;
    const load = scope.own(
      new Load({
        port: ek.port,
        clients: 24,
        request: () => get(`/fields?n=${++asked}`),
        judge: (answer, request) => (statusOf(answer) === 200 ? astray(answer, request) : answer.start),
      }),
    );
    await until('answers of all', () => load.byNode.size === 3);

    const turn = async (): Promise<string> => {
      const node = nodes[random.below(3)]!;
      switch (random.below(5)) {
        case 0: {
          await node.kill();
          const before = load.answered;
          await until('traffic without it', () => load.answered > before + 200);
          await node.start();
          await ek.fit(3);
          return `kill ${node.name}`;
        }
        case 1: {
          await wish(ek, node.name, 'drain');
          const before = load.answered;
          await until('traffic without it', () => load.answered > before + 200);
          await wish(ek, node.name, 'ready');
          await ek.fit(3);
          return `drain ${node.name}`;
        }
        case 2: {
          const weights = [1 + random.below(9), 1 + random.below(9), 1 + random.below(9)];
          await ek.reload(settings(nodes, weights, balances[random.below(balances.length)]!));
          await ek.fit(3);
          return 'reload';
        }
        case 3: {
          const left = nodes.filter((one) => one !== node);
          await ek.reload(settings(left, [], balances[random.below(balances.length)]!));
          await ek.reload(settings(nodes, [], balances[random.below(balances.length)]!));
          await ek.fit(3);
          return `without ${node.name} and with it`;
        }
        default: {
          const leaving = Array.from({ length: 20 }, () => new RawClient(ek.port));
          for (const client of leaving) await client.send(get('/slow?ms=5').repeat(3));
          for (const client of leaving) client.socket.resetAndDestroy();
          return 'clients that leave';
        }
      }
    };
    for (let i = 0; i < events; i++) {
      const what = await turn();
      expect([what, load.reasons()]).toEqual([what, {}]);
    }

    await load.stop();
    expect(load.reasons()).toEqual({});
    await until('nothing in flight', async () => (await ek.pool()).active === 0);
    const stats = await ek.stats();
    expect(stats.threads.map((thread) => [thread.exceptions, thread.restarts])).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect((await ek.pool()).nodes.map((node) => node.inFlight)).toEqual([0, 0, 0]);
  });
});

/** Null if the answer is the one to this request. */
function astray(answer: Message, request: string): string | null {
  const { url } = JSON.parse(answer.body) as { url: string };
  return request.startsWith(`GET ${url} `) ? null : `answer to ${url} for ${request.split('\r\n')[0]}`;
}
