/**
 * One of three evenkeels stands still for a while, with clients of its own, as under a frozen machine; meanwhile another
 * member is asked to switch the primary. What nodes and clients saw is the judge: once a write of the next epoch has come
 * to a node none of an older one begins on any, and nobody is told of one. What may come late is the one write, and the one
 * answer, whose bytes the data thread was about to hand to the kernel when it was stopped: nodes refuse that write.
 */
import { expect, it } from 'vitest';
import { pause } from '../../helpers/poll.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import type { Seat } from '../cluster/processes.ts';
import { print, proving } from '../cluster/prove.ts';
import { agreed, going, judgeLogs, startMembers, switchBy, type World } from './members.ts';
import { poolOf, startReplicaNodes, Writers } from './world.ts';

const suspensions = proving(1, 5);
/**
 * Of a process that others keep from running, between the arrival of bytes and the look at the clock. Who went on under an
 * old epoch after 3 or 10 s would be later than that.
 */
const lateMs = 1000;

async function start(scope: Scope): Promise<World> {
  const nodes = await startReplicaNodes(scope, ['a', 'b', 'c']);
  // A primary is not to be replaced for being slow here.
  const members = await startMembers(scope, poolOf(nodes));
  const writers = members.seats.map(({ port }) => scope.own(new Writers({ port, clients: 4 })));
  await going(writers);
  return { nodes, members, writers, readers: [] };
}

/** Switches the primary while this member stands still. */
async function suspend({ members, nodes }: World, seat: Seat, ms: number): Promise<void> {
  const { primary, epoch } = await agreed(members, { state: 'NORMAL' });
  const to = nodes.find(({ name }) => name !== primary)!.name;
  const other = members.seats.find((one) => one !== seat)!;
  seat.child!.kill('SIGSTOP');
  const switched = switchBy(members, other, to);
  await pause(ms);
  seat.child!.kill('SIGCONT');
  await switched;
  expect((await agreed(members, { state: 'NORMAL', primary: to })).epoch).toBeGreaterThan(epoch);
}

interface Seen {
  /** When the first and the last write that was admitted came to any node, ms since 1970. */
  first: number;
  last: number;
  readonly refused: number[];
}

async function arrivals({ nodes }: World): Promise<ReadonlyMap<number, Seen>> {
  const found = new Map<number, Seen>();
  for (const arrived of await Promise.all(nodes.map((node) => node.arrived())))
    for (const [epoch, { first, last, refused }] of Object.entries(arrived)) {
      const seen = found.get(Number(epoch)) ?? { first: Number.POSITIVE_INFINITY, last: 0, refused: [] };
      seen.first = Math.min(seen.first, first ?? seen.first);
      seen.last = Math.max(seen.last, last ?? seen.last);
      seen.refused.push(...refused);
      found.set(Number(epoch), seen);
    }
  return found;
}

it.each([1, 3, 10])(
  'a member that is suspended for %i s: nothing of an epoch comes after the next one has begun',
  async (seconds) => {
    const world = await start(testScope());
    const { members, writers } = world;
    const margins: number[] = [];
    for (let round = 0; round < suspensions; round++) {
      const leader = await members.led();
      // The leader in every third round, else one of the others.
      const seat = round % 3 === 2 ? leader : members.seats.find((one) => one !== leader)!;
      await suspend(world, seat, seconds * 1000);
      await going(writers);
    }
    await judgeLogs(world);
    const seen = await arrivals(world);
    const epochs = [...seen.keys()].filter((epoch) => seen.get(epoch)!.last > 0).sort((a, b) => a - b);
    expect(epochs.length).toBeGreaterThan(suspensions);
    let [late, refused] = [0, 0];
    for (const [index, next] of epochs.slice(1).entries()) {
      const opened = seen.get(next)!.first;
      margins.push(opened - seen.get(epochs[index]!)!.last);
      const told = writers.flatMap((one) => one.times.filter((_, at) => one.epochs[at]! < next));
      late += told.filter((at) => at > opened + lateMs).length;
      const older = [...seen].flatMap(([epoch, one]) => (epoch < next ? one.refused : []));
      refused += older.filter((at) => at > opened + lateMs).length;
    }
    print(
      `suspended for ${seconds} s, from the last write of an epoch to the first of the next, ms: ${margins}; ` +
        `late and refused by nodes: ${refused}, told late: ${late}`,
    );
    expect(Math.min(...margins)).toBeGreaterThan(-lateMs);
    // Each member has one data thread.
    expect(refused).toBeLessThanOrEqual(suspensions);
    expect(late).toBeLessThanOrEqual(suspensions);
  },
  300_000,
);
