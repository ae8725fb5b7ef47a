/**
 * The verbs of a failover schedule, beside those of the cluster's own (../faults.ts):
 *
 *   kill NODE            its process; started again after `for`        hang NODE     it takes connections, answers nothing
 *   unplug M NODE [out | in]   the way between a member and a node      unplug all NODE
 *   apart M              it and the primary on one side, all other members on the other
 *   late 3s              the bytes of some writes reach nodes so much later
 *   stall M              its control thread stands still, data threads go on
 *   thread M             one of its data threads stands still, control goes on
 *   pause M | suspend M  all of it; or its machine with its clock
 *   hooks NODE 50%       its hooks fail so often
 *   elsewhere M NODE     that member's file has the node at another url      differs M   has another policy
 *   foreign NODE         another cluster has taken the node
 *   operator WHAT        switch, plan, dry-run, failback, disable, enable, cancel
 *
 * NODE is a, b, c, or `primary`, `other`; M is m1, ... or `leader`, `follower`, `any`.
 */
import type { Millis } from '../../../src/base/ids.ts';
import type { Random } from '../../../src/base/random.ts';
import { act as actOnCluster, type FaultWorld } from '../faults.ts';
import type { Host } from '../host.ts';
import { oneOf } from '../queue.ts';
import { type Line, spanOf } from '../script.ts';
import type { AppNode } from './nodes.ts';
import type { Kind } from './policies.ts';
import { pool } from './unit.ts';
import type { FailoverWorld } from './world.ts';

type Undo = (() => void) | undefined;
type Act = (world: FailoverWorld, words: readonly string[]) => Undo;

function nodeOf(world: FailoverWorld, word: string | undefined): AppNode | undefined {
  const host = world.leader();
  const record = host?.body?.replica.pools.get(pool) ?? null;
  const primary = record?.target?.node ?? 'a';
  if (word === 'primary') return world.nodes.find(({ id }) => id === primary);
  if (word === 'other')
    return oneOf(
      world.random,
      world.nodes.filter(({ id }) => id !== primary),
    );
  return world.nodes.find(({ id }) => id === word);
}

function hostOf(world: FailoverWorld, word: string | undefined): Host | undefined {
  const leader = world.leader();
  if (word === 'leader') return leader;
  const all = word === 'follower' ? world.hosts.filter((host) => host !== leader) : world.hosts;
  return word === 'any' || word === 'follower' ? oneOf(world.random, all) : all.find(({ name }) => name === word);
}

const onNode =
  (act: (world: FailoverWorld, node: AppNode, words: readonly string[]) => Undo): Act =>
  (world, [who, ...words]) => {
    const node = nodeOf(world, who);
    return node === undefined ? undefined : act(world, node, words);
  };

const onHost =
  (act: (world: FailoverWorld, host: Host, words: readonly string[]) => Undo): Act =>
  (world, [who, ...words]) => {
    const host = hostOf(world, who);
    return host === undefined || host.body === null ? undefined : act(world, host, words);
  };

function unplug(world: FailoverWorld, [who, what, way]: readonly string[]): Undo {
  const node = nodeOf(world, what);
  if (node === undefined) return undefined;
  const hosts = who === 'all' ? world.hosts : [hostOf(world, who)].flatMap((host) => host ?? []);
  const ways = hosts.flatMap(({ name }) => [
    ...(way === 'in' ? [] : [`${name}>${node.id}`]),
    ...(way === 'out' ? [] : [`${node.id}>${name}`]),
  ]);
  for (const one of ways) world.cutWays.add(one);
  return () => {
    for (const one of ways) world.cutWays.delete(one);
  };
}

function stand(how: 'paused' | 'suspended', threads: boolean): Act {
  return onHost((world, host) => {
    if (!host.awake) return undefined;
    const unit = world.units.get(host)!;
    host.pauseNow(how);
    const still = threads ? unit.threads : [];
    for (const thread of still) thread.stall();
    const { run } = host;
    return () => {
      if (host.run !== run) return;
      // That the machine slept is seen before anything else, if it is seen; after a standstill anything may come first.
      const seen = how === 'suspended' && world.dataHabits.seesSleep;
      const first = seen || world.random.next() < 0.5;
      if (first) host.resume();
      for (const thread of still) thread.go();
      if (!first) host.resume();
    };
  });
}

const acts: Readonly<Record<string, Act>> = {
  kill: onNode((_world, node) => {
    if (!node.alive) return undefined;
    node.crash();
    return () => node.alive || node.start();
  }) as Act,
  hang: onNode((_world, node) => {
    node.hung = true;
    node.synced = node.role === 'primary';
    return () => {
      node.hung = false;
    };
  }),
  unplug,
  apart: onHost((world, host) => {
    const others = world.hosts.filter((other) => other !== host);
    const node = nodeOf(world, 'primary');
    if (node === undefined || others.length === 0) return undefined;
    const ways = others.flatMap(({ name }) => [`${name}>${node.id}`, `${node.id}>${name}`]);
    for (const one of ways) world.cutWays.add(one);
    const between = others.flatMap((other) => [[host, other] as const, [other, host] as const]);
    for (const [from, to] of between) world.net.cut(from.address, to.address);
    return () => {
      for (const one of ways) world.cutWays.delete(one);
      for (const [from, to] of between) world.net.mend(from.address, to.address);
    };
  }),
  late: (world, [by]) => {
    world.lateMs = spanOf(by ?? '') ?? 0;
    return () => {
      world.lateMs = 0;
    };
  },
  stall: stand('paused', false),
  pause: stand('paused', true),
  suspend: stand('suspended', true),
  thread: onHost((world, host) => {
    const unit = world.units.get(host)!;
    const thread = oneOf(world.random, unit.threads);
    thread?.stall();
    return () => thread?.go();
  }),
  hooks: onNode((_world, node, [share]) => {
    node.hookFails = Number.parseFloat(share ?? '50') / 100;
    return () => {
      node.hookFails = 0;
    };
  }),
  elsewhere: onHost((world, host, [what]) => {
    const node = nodeOf(world, what);
    if (node === undefined) return undefined;
    world.moved.add(`${host.name} ${node.id}`);
    world.units.get(host)!.reload();
    return () => {
      world.moved.delete(`${host.name} ${node.id}`);
      world.units.get(host)!.reload();
    };
  }),
  differs: onHost((world, host) => {
    world.other.add(host.name);
    world.units.get(host)!.reload();
    return () => {
      world.other.delete(host.name);
      world.units.get(host)!.reload();
    };
  }),
  foreign: onNode((_world, node) => {
    // One that does not say which epochs it saw can't be told from one that is just stubborn.
    if (node.checks) node.seen += 3;
    node.cluster = 'another';
    return () => {
      node.cluster = null;
    };
  }),
  operator: (world, [what]) => {
    world.operator.do(what ?? 'switch');
    return undefined;
  },
};

export function act(world: FailoverWorld, line: Line): void {
  const how = acts[line.verb];
  if (how === undefined) {
    world.covered(`fault: ${line.verb}`);
    return actOnCluster(world as unknown as FaultWorld, line);
  }
  world.note('fault', [line.verb, ...line.words, line.forMs === null ? '' : `for ${line.forMs} ms`].join(' '));
  world.covered(`fault: ${line.verb}`);
  const undo = how(world, line.words);
  if (undo !== undefined && line.forMs !== null) world.queue.after(line.forMs, undo);
}

const span = (random: Random, min: Millis, max: Millis): Millis => Math.round(min + random.next() * (max - min));
type Draw = (random: Random, who: string, node: string) => Omit<Line, 'at'>;
const line = (verb: string, words: readonly string[], forMs: Millis | null = null): Omit<Line, 'at'> => ({
  verb,
  words,
  forMs,
});

const ofNodes: readonly Draw[] = [
  (random) => line('kill', ['primary'], span(random, 500, 8000)),
  (random) => line('kill', ['primary'], span(random, 50, 1500)),
  (random) => line('kill', ['other'], span(random, 500, 6000)),
  (random) => line('hang', ['primary'], span(random, 300, 6000)),
  (random) => line('hang', ['other'], span(random, 300, 4000)),
  (random) => line('unplug', ['all', 'primary'], span(random, 500, 6000)),
  (random) => line('late', ['4s'], span(random, 1000, 6000)),
  (random, _who, node) => line('hooks', [node, '60%'], span(random, 2000, 8000)),
  (random) =>
    line('operator', [
      oneOf(random, ['switch', 'switch', 'plan', 'dry-run', 'failback', 'disable', 'enable', 'enable', 'cancel'])!,
    ]),
];

const ofMembers: readonly Draw[] = [
  (random, who) => line('crash', [who], span(random, 50, 4000)),
  (random) => line('crash', ['leader'], span(random, 300, 4000)),
  (random, who) => line('isolate', [who], span(random, 500, 7000)),
  (random) => line('isolate', ['leader'], span(random, 1000, 7000)),
  (random, who) => line('isolate', [who, random.next() < 0.5 ? 'out' : 'in'], span(random, 500, 6000)),
  (random, who) => line('split', [who], span(random, 1000, 6000)),
  (random, who) => line('apart', [who], span(random, 1500, 8000)),
  (random) => line('apart', ['leader'], span(random, 1500, 8000)),
  (random) => line('net', [oneOf(random, ['bad', 'lossy', 'slow', 'late'])!], span(random, 500, 5000)),
  (random, who) => line('disk', [who, 'slow'], span(random, 500, 5000)),
  (random, who) => line('drift', [who, `${(random.next() * 0.96 - 0.48).toFixed(2)}%`]),
  (_random, who) => line('transfer', [who]),
  (random, who, node) => line('unplug', [who, node], span(random, 500, 6000)),
  (random, who) => line('unplug', [who, 'primary', random.next() < 0.5 ? 'out' : 'in'], span(random, 500, 6000)),
  (random, who) => line('stall', [who], span(random, 300, 6000)),
  (random, who) => line('thread', [who], span(random, 300, 6000)),
  (random, who) => line('pause', [who], span(random, 300, 6000)),
  (random, who) => line('suspend', [who], span(random, 700, 6000)),
  (random, who, node) => line('elsewhere', [who, node], span(random, 1000, 8000)),
  (random, who) => line('differs', [who], span(random, 1000, 8000)),
  (random) => line('restart', ['all'], span(random, 10, 1500)),
];

const rare: readonly Draw[] = [(random, _who, node) => line('foreign', [node], span(random, 500, 3000))];

export function drawScript(random: Random, { onlyNodes, members }: Kind, untilMs: Millis): readonly Line[] {
  const lines: Line[] = [];
  for (let at = 3000 + random.next() * 1500; at < untilMs; at += random.next() * 2400) {
    const dice = random.next();
    const draws = dice < 0.02 && !onlyNodes ? rare : dice < 0.5 || onlyNodes ? ofNodes : ofMembers;
    const who = oneOf(random, ['leader', 'follower', 'any', 'any'])!;
    const node = oneOf(random, ['primary', 'other', 'a', 'b'])!;
    const drawn = draws[random.below(draws.length)]!(random, who, node);
    // One member is not cut off from anybody, can't hand over, and its file is what is true.
    if (members === 1 && /^(isolate|split|apart|transfer|net|elsewhere|differs)$/.test(drawn.verb)) continue;
    lines.push({ at: Math.round(at), ...drawn });
  }
  return lines;
}
