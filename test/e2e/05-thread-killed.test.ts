/** A data thread dies: the others go on, its share is back within a moment, and it is said once. */
import { describe, expect, it } from 'vitest';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { Load } from '../helpers/load.ts';
import { startAppNodes } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { testScope } from '../helpers/scope.ts';

describe('a data thread is killed under load', () => {
  it('connections of the other thread notice nothing, new ones are served by both again', async () => {
    const scope = testScope();
    const nodes = await startAppNodes(scope, 'a', 'b');
    const ek = await startEvenkeel(
      scope,
      {
        workers: 2,
        pools: { app: { nodes: nodes.map((node) => node.url), health: { path: '/health', interval: '200ms' } } },
      },
      { composed: true },
    );
    await ek.fit(2);
    const clients = 64;
    const load = scope.own(new Load({ port: ek.port, clients }));
    await until('load', () => load.answered > 1000);
    const [survivor, victim] = (await ek.stats()).threads;

    await ek.killThread(victim!.thread);
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
    expect(load.failures.length).toBeLessThanOrEqual(victim!.connections);
    const after = (await ek.stats()).threads.find((one) => one.thread === survivor!.thread);
    expect(after).toMatchObject({ restarts: 0, exceptions: 0 });
    await until('nothing in flight', async () => (await ek.pool()).active === 0);
  });
});
