/**
 * One of three evenkeels stands still for a while, with clients of its own, as under a frozen machine; meanwhile another
 * member is asked to switch the primary. What nodes and clients saw is the judge: once a write of the next epoch has come
 * to a node none of an older one comes to any, and nobody is told of one.
 */
import { expect, it } from 'vitest';
import { runCli } from '../../helpers/evenkeel.ts';
import { pause, until } from '../../helpers/poll.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import type { Processes, Seat } from '../cluster/processes.ts';
import { print, proving } from '../cluster/prove.ts';
import { agreed, going, judgeLogs, patient, shown, startMembers, type World } from './members.ts';
import { poolOf, startReplicaNodes, Writers } from './world.ts';

const suspensions = proving(1, 5);
/** Of a process that others keep from running, between the arrival of bytes and the look at the clock. */
const lateMs = 250;

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
  const switched = switchBy(members, other, { to, epoch: epoch + 1 });
  await pause(ms);
  seat.child!.kill('SIGCONT');
  await switched;
  await agreed(members, { state: 'NORMAL', primary: to, epoch: epoch + 1 });
}

const adminOf = ({ admin }: Seat): readonly string[] => ['--admin', `127.0.0.1:${admin}`];

/** Without a leader, for a while, it is asked again. */
const switchBy = (
  members: Processes,
  seat: Seat,
  { to, epoch }: { readonly to: string; readonly epoch: number },
): Promise<boolean> =>
  until(
    `${to} is primary of epoch ${epoch}`,
    async () => {
      const { code, stderr } = await runCli('failover', 'switch', 'app', '--to', to, ...adminOf(seat));
      const now = await shown(members, seat);
      if (now.primary === to && now.epoch === epoch) return true;
      throw new Error(`${code}: ${stderr}`);
    },
    patient,
  );

/** When the first and the last write of each epoch came to any node. */
async function arrivals({ nodes }: World): Promise<ReadonlyMap<number, { first: number; last: number }>> {
  const found = new Map<number, { first: number; last: number }>();
  for (const arrived of await Promise.all(nodes.map((node) => node.arrived())))
    for (const [epoch, { first, last }] of Object.entries(arrived)) {
      const known = found.get(Number(epoch)) ?? { first, last };
      found.set(Number(epoch), { first: Math.min(first, known.first), last: Math.max(last, known.last) });
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
    for (let epoch = 1; epoch <= suspensions; epoch++) {
      const opened = seen.get(epoch + 1)!.first;
      margins.push(opened - seen.get(epoch)!.last);
      const told = writers.flatMap(({ times, epochs }) => times.filter((_, index) => epochs[index]! <= epoch));
      expect(Math.max(...told)).toBeLessThan(opened + lateMs);
    }
    print(`suspended for ${seconds} s, from the last write of an epoch to the first of the next, ms: ${margins}`);
    expect(Math.min(...margins)).toBeGreaterThan(-lateMs);
  },
  300_000,
);
