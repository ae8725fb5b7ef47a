/** A kept connection that goes back unused is no younger for it: what may not be sent twice does not trust it. */
import { expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { ask, get } from '../../helpers/raw-client.ts';
import { pool as poolRow } from '../../routing/fixtures.ts';
import { type PrimaryWorld, post, primaryWorld, received } from '../primary-world.ts';

const { upstream } = poolRow('app', 1);
/** From this age on a kept connection is none for a write (upstream-node.ts). */
const freshMs = 1000;

/** Takes the lease away between the pick of the next request and its first byte. */
function parkBeforeItIsSent(made: PrimaryWorld): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (made.world.inFlight === 0) return void setImmediate(look);
      made.park(0, 1);
      resolve();
    };
    setImmediate(look);
  });
}

it('a write goes out on a new connection, not on an old one that a read gave back', async () => {
  const made = await primaryWorld({
    nodes: 1,
    split: { reads: ['primary'] },
    pool: { upstream: { ...upstream, idleTimeout: 60_000, pipelining: 2 } },
  });
  const [node] = made.nodes;
  const { world } = made;
  made.lease(0, 1);
  await ask(world.port, post('/1'));
  const served = performance.now();
  await until('it is old', () => performance.now() - served > freshMs);

  const reader = world.client();
  await reader.connected;
  const parked = parkBeforeItIsSent(made);
  await reader.send(get('/read'));
  await parked;
  await until('the read waits', () => made.count('readsWaited') === 1);
  reader.socket.resetAndDestroy();
  await until('it is gone', () => world.pending === 0 && world.connections === 0);
  expect([node!.connections.length, world.upstreams]).toEqual([1, 1]);

  made.lease(0, 1);
  await ask(world.port, post('/2'));
  expect(received(node!)).toEqual(['POST /1 1', 'POST /2 1']);
  expect(node!.connections.map(({ requests }) => requests.length)).toEqual([1, 1]);
});
