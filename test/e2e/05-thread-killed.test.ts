/**
 * A data thread dies: the others go on, its share is back within a moment, it is said once, and the counts are right. It is
 * killed, or hangs until the watchdog ends it, or takes more memory than it may.
 */
import { describe, expect, it } from 'vitest';
import type { Stats } from '../../src/observe/stats-model.ts';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
import { Load } from '../helpers/load.ts';
import { startAppNodes } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { get, RawClient } from '../helpers/raw-client.ts';
import { testScope } from '../helpers/scope.ts';

type ThreadStats = Stats['threads'][number];
/** Brings the death of one of the threads about; says which. */
type Death = (ek: Evenkeel) => Promise<ThreadStats>;

/** By a request, which goes to the thread that the kernel chose; it is known afterwards. */
const byRequest =
  (path: string): Death =>
  async (ek) => {
    const before = (await ek.stats()).threads;
    const client = new RawClient(ek.port);
    await client.send(get(path));
    try {
      await client.ended(60_000);
    } finally {
      client.stop();
    }
    const restarted = async () => (await ek.stats()).threads.find((one) => one.restarts === 1);
    const { thread } = await until('its restart', restarted);
    return before.find((one) => one.thread === thread)!;
  };

const deaths: Readonly<Record<string, readonly [said: string, death: Death]>> = {
  'is killed': [
    'it was terminated by request',
    async (ek) => {
      const [, victim] = (await ek.stats()).threads;
      await ek.killThread(victim!.thread);
      return victim!;
    },
  ],
  hangs: ['it hung', byRequest('/spin')],
  'takes all memory that it may': ['its heap grew over', byRequest('/eat')],
};

describe.each(Object.entries(deaths))('a data thread %s under load', (_, [said, death]) => {
  it('connections of the other thread notice nothing, new ones are served by both again', {
    timeout: 240_000,
  }, async () => {
    const scope = testScope();
    const nodes = await startAppNodes(scope, 'a', 'b');
    const ek = await startEvenkeel(
      scope,
      {
        workers: 2,
        pools: {
          app: { nodes: nodes.map((node) => node.url), health: { path: '/health', timeout: '10s', interval: '200ms' } },
        },
      },
      { composed: true },
    );
    await ek.fit(2);
    const clients = 64;
    const load = scope.own(new Load({ port: ek.port, clients }));
    await until('load', () => load.answered > 1000);

    const victim = await death(ek);
    await until('two threads run again', async () => {
      const { threads } = await ek.stats();
      return (
        threads.every((one) => one.state === 'running') &&
        threads
          .map((one) => one.restarts)
          .toSorted()
          .join() === '0,1'
      );
    });
    const before = load.answered;
    await until('service goes on', () => load.answered > before + 2000);
    const fresh = scope.own(new Load({ port: ek.port, clients }));
    await until('new connections on both threads', async () =>
      (await ek.stats()).threads.every((thread) => thread.connections > clients / 8),
    );
    await fresh.stop();
    await load.stop();

    expect(fresh.reasons()).toEqual({});
    // What the dead thread held is lost with it, once each; nothing else is.
    expect(load.failures.length).toBeLessThanOrEqual(victim.connections);
    const after = (await ek.stats()).threads.find((one) => one.thread !== victim.thread);
    expect(after).toMatchObject({ restarts: 0, exceptions: 0 });
    await until('nothing in flight', async () => {
      const pool = await ek.pool();
      return pool.active === 0 && pool.nodes.every((node) => node.inFlight === 0);
    });
    await until('no connection counted', async () =>
      (await ek.stats()).threads.every((thread) => thread.connections === 0),
    );
    const lines = ek.child
      .output()
      .split('\n')
      .filter((line) => line.includes('thread-died'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(said);
  });
});
