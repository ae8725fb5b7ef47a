/**
 * A leader that takes about the largest config that a file may hold, and is asked for all that it counts, goes on to lead:
 * its heartbeats and leases are renewed by the thread that also does this.
 */
import { expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import type { Processes, Seat } from '../cluster/processes.ts';
import { agreed, going, judgeLogs, patient, startMembers } from './members.ts';
import { poolOf, startReplicaNodes, Writers } from './world.ts';

const routes = 16_000;
const nodes = 16_000;
const pools = 160;

/** Some 3 MiB: beside the pool `app`, pools whose nodes nobody asks, and routes to them. */
function large(app: object, weight: number): object {
  const list = Array.from({ length: nodes }, (_, n) => ({
    id: `n${n}`,
    url: `http://127.1.${n >> 8}.${n & 255}:9`,
    weight: n === 0 ? weight : 1,
  }));
  const others = Object.fromEntries(
    Array.from({ length: pools }, (_, p) => [
      `p${p}`,
      { health: 'off', nodes: list.slice((p * nodes) / pools, ((p + 1) * nodes) / pools) },
    ]),
  );
  const more = Array.from({ length: routes }, (_, r) => ({
    name: `route-${'x'.repeat(40)}-${r}`,
    host: `r${r}.example.com`,
    path: `/some/where/${r}`,
    pool: `p${r % pools}`,
  }));
  return { pools: { app, ...others }, routes: [...more, { pool: 'app' }], log: { access: 'off', level: 'warn' } };
}

const termOf = async (members: Processes, seat: Seat): Promise<number> =>
  ((await (await members.ask(seat, '/api/ha/cluster')).json()) as { readonly term: number }).term;

/** Writes that waited or were refused for want of a lease, at this member. */
async function heldUp(members: Processes, seat: Seat): Promise<number> {
  const page = await (await members.ask(seat, '/metrics')).text();
  const lines = page.split('\n').filter((one) => /^evenkeel_failover_writes_(waited|refused)_total\{/.test(one));
  expect(lines.length).toBeGreaterThan(1);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

it('a leader stays one, and no write waits, while it reloads a file of 3 MiB and tells all its counters', async () => {
  const scope = testScope();
  const app = await startReplicaNodes(scope, ['a', 'b']);
  const pool = poolOf(app, { mode: 'manual' });
  const members = await startMembers(scope, pool);
  const writers = members.seats.map(({ port }) => scope.own(new Writers({ port, clients: 1, thinkMs: 20 })));
  await going(writers);
  // A machine with much else to do may take an office from anybody, now and then: so one round in five will do. Were
  // it this thread that reads the file, no round would.
  const rounds: string[] = [];
  for (let weight = 2; weight <= 6; weight++) {
    const leader = await members.led();
    const [term, before] = [await termOf(members, leader), await heldUp(members, leader)];
    await members.write(leader, {}, large(pool, weight));
    const reload = await members.ask(leader, '/api/reload', { method: 'POST', body: '{}' });
    expect([reload.status, (await reload.text()).slice(0, 2000)]).toEqual([200, expect.any(String)]);
    for (const path of ['/metrics', '/stats', '/api/pools', '/api/config'])
      expect((await (await members.ask(leader, path)).text()).length).toBeGreaterThan(1e6);
    await going(writers);
    const [now, waited] = [await termOf(members, leader), (await heldUp(members, leader)) - before];
    rounds.push(`term ${term} to ${now}, ${waited} writes waited`);
    if (now === term && waited === 0) break;
  }
  expect(rounds.at(-1), rounds.join('; ')).toMatch(/^term (\d+) to \1, 0 writes waited$/);
  await until('all agree', () => agreed(members, { state: 'NORMAL', primary: 'a', epoch: 1 }), patient);
  await judgeLogs({ members, nodes: app, writers, readers: [] });
});
