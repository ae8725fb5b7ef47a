/** Several evenkeels as processes in front of the app nodes of world.ts: what their tests ask of all of them. */
import { expect } from 'vitest';
import { runCli } from '../../helpers/evenkeel.ts';
import type { Load } from '../../helpers/load.ts';
import { until } from '../../helpers/poll.ts';
import type { Scope } from '../../helpers/scope.ts';
import { Processes, type Seat } from '../cluster/processes.ts';
import { spread } from '../cluster/prove.ts';
import {
  type ChangeShown,
  failoverOf,
  firstWriteAbove,
  type PoolShown,
  type ReplicaNode,
  type Writers,
} from './world.ts';

export interface World {
  readonly nodes: readonly ReplicaNode[];
  readonly members: Processes;
  readonly writers: readonly Writers[];
  readonly readers: readonly Load[];
}

export const patient = { withinMs: 60_000 };

export const shown = (members: Processes, seat: Seat): Promise<PoolShown> =>
  failoverOf((path) => members.ask(seat, path));

/** These members, without others all that run, agree about it. */
export const agreed = (
  members: Processes,
  wanted: Partial<PoolShown>,
  seats: readonly Seat[] = members.running,
): Promise<PoolShown> =>
  until(
    `failover ${JSON.stringify(wanted)} on ${seats.map(({ name }) => name).join(', ')}`,
    async () => {
      const all = await Promise.all(seats.map((seat) => shown(members, seat)));
      const isSo = (one: PoolShown): boolean =>
        Object.entries(wanted).every(([key, value]) => one[key as keyof PoolShown] === value);
      if (!all.every(isSo)) throw new Error(JSON.stringify(all));
      return all[0];
    },
    patient,
  );

/** Three members with this pool, up, of which all say that `a` is its primary. */
export async function startMembers(scope: Scope, pool: object): Promise<Processes> {
  const members = await Processes.of(scope, 3);
  for (const seat of members.seats) await members.write(seat, {}, { pools: { app: pool } });
  members.start(...members.seats);
  await members.led();
  await members.ready();
  await agreed(members, { state: 'NORMAL', primary: 'a', epoch: 1 });
  return members;
}

/** When the steps to the epoch after this one were agreed, as a member shows it. */
export const changeAfter = (members: Processes, epoch: number, seat: Seat): Promise<ChangeShown> =>
  until(
    'the steps of the change',
    async () => {
      const now = await shown(members, seat);
      return now.epoch > epoch && now.lastChange?.openedAt != null ? now.lastChange : null;
    },
    patient,
  );

/** Has this node, or the fittest, made primary by the command line, through this member; asked again while no leader answers. */
export async function switchBy(members: Processes, seat: Seat, to: string | null = null): Promise<true> {
  const { primary, epoch } = await shown(members, seat);
  const wish = to === null ? [] : ['--to', to];
  return until(
    `${to ?? `another than ${primary}`} is primary, as asked of ${seat.name}`,
    async () => {
      const asked = await runCli('failover', 'switch', 'app', ...wish, '--admin', `127.0.0.1:${seat.admin}`);
      const now = await shown(members, seat);
      const isSo = to === null ? now.primary !== null && now.primary !== primary : now.primary === to;
      // The answer may be lost with a leader, and the switch come about.
      if (isSo && now.epoch > epoch) return true;
      throw new Error(`${asked.code}: ${asked.stderr}`);
    },
    patient,
  );
}

/** When the first write of an epoch above this one began on any of these nodes, ms since 1970. */
export async function nextWrite(members: Processes, nodes: readonly ReplicaNode[], epoch: number): Promise<number> {
  try {
    return await until('a write of the next epoch', () => firstWriteAbove(nodes, epoch), { ...patient, everyMs: 50 });
  } catch (error) {
    const seat = members.running[0]!;
    const history = await (await members.ask(seat, '/api/ha/failover/history?limit=20')).text();
    throw new Error(`${(error as Error).message}\n${JSON.stringify(await shown(members, seat))}\n${history}`);
  }
}

export const acknowledgedBy = (writers: readonly Writers[]): number =>
  writers.reduce((sum, one) => sum + one.acknowledged.length, 0);

/** Until these have been told of more writes. */
export async function going(writers: readonly Writers[], more = 20): Promise<void> {
  const before = acknowledgedBy(writers);
  await until('more writes', () => acknowledgedBy(writers) > before + more, patient);
}

/** Ends all clients. Whatever a writer was told is in the log of who is primary now, and nothing is there twice. */
export async function judgeLogs({ members, nodes, writers, readers }: World): Promise<void> {
  await Promise.all([...writers.map((one) => one.stop()), ...readers.map((one) => one.stop())]);
  const { primary } = await agreed(members, { state: 'NORMAL' });
  const log = await nodes.find(({ name }) => name === primary)!.entries();
  for (const one of writers) expect(one.judge(log)).toEqual({ lost: [], doubled: [] });
}

/** From a fault to the next write, and what it is made of, ms. */
export interface Steps {
  /** To the first write that the next primary begins. */
  readonly total: number;
  /** To the agreed choice of another, and from its opening to that write: what is left of the whole. */
  readonly detect: number;
  readonly fence: number;
  /** Its promotion, to the agreed opening of its epoch. */
  readonly promote: number;
}

export function stepsOf(faultAt: number, firstAt: number, change: ChangeShown): Steps {
  const at = (moment: string | null): number => Date.parse(moment ?? '');
  const [chosen, fenced, opened] = [at(change.chosenAt), at(change.fencedAt), at(change.openedAt)];
  const total = firstAt - faultAt;
  // The agreed clock is none of the machine's: only its spans count.
  return { total, detect: total - (opened - chosen), fence: fenced - chosen, promote: opened - fenced };
}

export const stepsText = (steps: readonly Steps[]): string =>
  (['total', 'detect', 'fence', 'promote'] as const)
    .map((name) => `  ${name}: ${spread(steps.map((one) => one[name]))}`)
    .join('\n');
