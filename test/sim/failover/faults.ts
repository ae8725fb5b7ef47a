/**
 * The verbs of a failover schedule, beside those of the cluster's own (../faults.ts):
 *
 *   kill NODE            its process; started again after `for`        hang NODE     it takes connections, answers nothing
 *   deaf NODE            it hears nothing of other nodes
 *   unplug M NODE [out | in]   the way between a member and a node      unplug all NODE
 *   apart M              it and the primary on one side, all other members on the other
 *   late 3s              the bytes of some writes reach nodes so much later
 *   stall M              its control thread stands still, data threads go on
 *   thread M             one of its data threads stands still, control goes on
 *   pause M | suspend M  all of it; or its machine with its clock
 *   hooks NODE 50%       its hooks fail so often
 *   elsewhere M NODE     that member's file has the node at another url      differs M   has another policy
 *   foreign NODE         another cluster has taken the node
 *   rows move|swap       a row of the file is given to another machine, by the same name or by another; one member after
 *                        the other reloads it
 *   operator WHAT        switch, plan, dry-run, failback, disable, enable, cancel, adopt, force
 *   once EVENT +20ms VERB ...   when that happens next: `pending`, `open`, `failed`; a hook starts: `demote`, `promote`
 *
 * NODE is a, b, c, or `primary`, `other`; `db/a` of the second pool, which the last word of differs, rows and operator
 * names, too. M is m1, ... or `leader`, `follower`, `f1` (the first that does not lead), `any`.
 */
import type { Millis } from '../../../src/base/ids.ts';
import type { Random } from '../../../src/base/random.ts';
import { act as actOnCluster, type FaultWorld } from '../faults.ts';
import type { Host } from '../host.ts';
import { oneOf } from '../queue.ts';
import { type Line, spanOf } from '../script.ts';
import { firstFaultMs } from './checker.ts';
import type { AppNode } from './nodes.ts';
import type { Kind } from './policies.ts';
import type { Site } from './site.ts';
import type { FailoverWorld } from './world.ts';

type Undo = (() => void) | undefined;
type Act = (world: FailoverWorld, words: readonly string[]) => Undo;

/** Of `db/primary` the pool and the rest; the first pool, if none is named. */
function siteOf(world: FailoverWorld, word: string | undefined): { readonly site: Site; readonly word: string } {
  const [pool, rest] = word?.includes('/') === true ? word.split('/') : ['app', word];
  return { site: world.sites.find((site) => site.pool === pool) ?? world.sites[0]!, word: rest ?? '' };
}

interface Found {
  readonly site: Site;
  readonly node: AppNode;
}

function nodeOf(world: FailoverWorld, named: string | undefined): Found | undefined {
  const { site, word } = siteOf(world, named);
  const record = world.leader()?.body?.replica.pools.get(site.pool) ?? null;
  const primary = record?.target?.node ?? 'a';
  const node =
    word === 'other'
      ? oneOf(
          world.random,
          site.nodes.filter(({ id }) => id !== primary),
        )
      : site.nodes.findLast(({ id }) => id === (word === 'primary' ? primary : word));
  return node === undefined ? undefined : { site, node };
}

function hostOf(world: FailoverWorld, word: string | undefined): Host | undefined {
  const leader = world.leader();
  if (word === 'leader') return leader;
  const others = world.hosts.filter((host) => host !== leader);
  const nth = /^f(\d)$/.exec(word ?? '');
  if (nth !== null) return others[Number(nth[1]) - 1];
  const all = word === 'follower' ? others : world.hosts;
  return word === 'any' || word === 'follower' ? oneOf(world.random, all) : all.find(({ name }) => name === word);
}

const onNode =
  (act: (world: FailoverWorld, found: Found, words: readonly string[]) => Undo): Act =>
  (world, [who, ...words]) => {
    const found = nodeOf(world, who);
    return found === undefined ? undefined : act(world, found, words);
  };

const onHost =
  (act: (world: FailoverWorld, host: Host, words: readonly string[]) => Undo): Act =>
  (world, [who, ...words]) => {
    const host = hostOf(world, who);
    return host === undefined || host.body === null ? undefined : act(world, host, words);
  };

function unplug(world: FailoverWorld, [who, what, way]: readonly string[]): Undo {
  const found = nodeOf(world, what);
  if (found === undefined) return undefined;
  const key = found.site.keyOf(found.node.id);
  const hosts = who === 'all' ? world.hosts : [hostOf(world, who)].flatMap((host) => host ?? []);
  const ways = hosts.flatMap(({ name }) => [
    ...(way === 'in' ? [] : [`${name}>${key}`]),
    ...(way === 'out' ? [] : [`${key}>${name}`]),
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
    for (const thread of still) thread.stall(world.queue.now);
    const { run } = host;
    return () => {
      if (host.run !== run) return;
      // That the machine slept is seen before anything else, if it is seen; after a standstill anything may come first.
      const seen = how === 'suspended' && world.dataHabits.seesSleep;
      const go = (): void => {
        for (const thread of still) thread.go(world.queue.now);
      };
      if (!seen && world.random.next() < 0.5) go();
      // Threads go on while control still works off what waited for it.
      unit.goesAfter(world.random.below(12), go);
      host.resume();
      go();
    };
  });
}

/** A file of one member changes, and changes back. */
function onFile(host: Host, world: FailoverWorld, changed: { readonly set: Set<string>; readonly key: string }): Undo {
  changed.set.add(changed.key);
  world.units.get(host)!.reload();
  return () => {
    changed.set.delete(changed.key);
    world.units.get(host)!.reload();
  };
}

const acts: Readonly<Record<string, Act>> = {
  kill: onNode((_world, { node }) => {
    if (!node.alive) return undefined;
    node.crash();
    return () => {
      if (!node.alive) node.start();
    };
  }),
  hang: onNode((_world, { node }) => {
    node.hung = true;
    node.synced = node.role === 'primary';
    return () => {
      node.hung = false;
    };
  }),
  deaf: onNode((_world, { node }) => {
    node.deaf = true;
    return () => {
      node.deaf = false;
    };
  }),
  unplug,
  apart: onHost((world, host) => {
    const others = world.hosts.filter((other) => other !== host);
    if (others.length === 0) return undefined;
    const keys = world.sites.flatMap(({ pool }) => {
      const found = nodeOf(world, `${pool}/primary`);
      return found === undefined ? [] : [found.site.keyOf(found.node.id)];
    });
    const ways = keys.flatMap((key) => others.flatMap(({ name }) => [`${name}>${key}`, `${key}>${name}`]));
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
    const { sides } = world.units.get(host)!;
    // One thread carries all pools.
    const which = world.random.below(2);
    const threads = sides.flatMap((side) => side.threads[which] ?? []);
    for (const thread of threads) thread.stall(world.queue.now);
    return () => {
      for (const thread of threads) thread.go(world.queue.now);
    };
  }),
  hooks: onNode((_world, { node }, [share]) => {
    node.hookFails = Number.parseFloat(share ?? '50') / 100;
    return () => {
      node.hookFails = 0;
    };
  }),
  elsewhere: onHost((world, host, [what]) => {
    const found = nodeOf(world, what);
    if (found === undefined) return undefined;
    const { site, node } = found;
    const key = `${host.name} ${node.id}`;
    // Where most files agree on a wrong one, nobody can know better.
    const wrong = [...site.moved].filter((moved) => moved !== key && moved.endsWith(` ${node.id}`)).length + 1;
    if (wrong * 2 > world.kind.members) return undefined;
    return onFile(host, world, { set: site.moved, key });
  }),
  differs: onHost((world, host, [pool]) => {
    const { site } = siteOf(world, `${pool ?? 'app'}/`);
    return onFile(host, world, { set: site.other, key: host.name });
  }),
  foreign: onNode((_world, { node }) => {
    // One that does not say which epochs it saw can't be told from one that is just stubborn.
    if (node.checks) node.seen += 3;
    node.cluster = 'another';
    return () => {
      node.cluster = null;
    };
  }),
  rows: (world, [how, pool]) => {
    siteOf(world, `${pool ?? 'app'}/`).site.replace(how ?? 'move');
    return undefined;
  },
  operator: (world, [what, pool]) => {
    siteOf(world, `${pool ?? 'app'}/`).site.operator.do(what ?? 'switch');
    return undefined;
  },
};

/** `once EVENT +20ms VERB ...`: when that happens next in the first pool, and so much later. */
function wait(world: FailoverWorld, line: Line): void {
  const [event = '', later = '', verb = '', ...words] = line.words;
  const then = (): void => act(world, { at: world.queue.now, verb, words, forMs: line.forMs });
  world.once(event, () => world.queue.after(spanOf(later) ?? 0, () => world.calm || then()));
}

export function act(world: FailoverWorld, line: Line): void {
  if (line.verb === 'once') return wait(world, line);
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
  (random) => line('deaf', ['other'], span(random, 100, 2000)),
  (random) => line('unplug', ['all', 'primary'], span(random, 500, 6000)),
  (random) => line('late', ['4s'], span(random, 1000, 6000)),
  (random, _who, node) => line('hooks', [node, '60%'], span(random, 2000, 8000)),
  (random) =>
    line('operator', [
      oneOf(random, [
        'switch',
        'switch',
        'plan',
        'dry-run',
        'failback',
        'disable',
        'enable',
        'enable',
        'cancel',
        'adopt',
        'force',
      ])!,
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
  (random) => line('rows', [random.next() < 0.5 ? 'move' : 'swap']),
  (random) => line('restart', ['all'], span(random, 10, 1500)),
];

const rare: readonly Draw[] = [(random, _who, node) => line('foreign', [node], span(random, 500, 3000))];

const joining: readonly Draw[] = [
  (random) => line(random.next() < 0.55 ? 'add' : 'remove', ['m4']),
  (random) => line('remove', [oneOf(random, ['m3', 'm4'])!]),
];

/** Of a world with two pools each fault meets one or the other. */
function forPool({ verb, words, forMs }: Omit<Line, 'at'>, pool: string): Omit<Line, 'at'> {
  if (/^(differs|rows|operator)$/.test(verb)) return { verb, words: [...words, pool], forMs };
  const named = words.map((word) => (/^(primary|other|a|b)$/.test(word) ? `${pool}/${word}` : word));
  return { verb, words: named, forMs };
}

export function drawScript(random: Random, kind: Kind, untilMs: Millis): readonly Line[] {
  const { onlyNodes, members, spare, second } = kind;
  const lines: Line[] = [];
  for (let at = firstFaultMs + random.next() * 1500; at < untilMs; at += random.next() * 2400) {
    const dice = random.next();
    const changes = spare && random.next() < 0.12 ? joining : null;
    const draws = changes ?? (dice < 0.02 && !onlyNodes ? rare : dice < 0.5 || onlyNodes ? ofNodes : ofMembers);
    const who = oneOf(random, ['leader', 'follower', 'any', 'any'])!;
    const node = oneOf(random, ['primary', 'other', 'a', 'b'])!;
    const drawn = draws[random.below(draws.length)]!(random, who, node);
    // One member is not cut off from anybody, can't hand over, and its file is what is true.
    if (members === 1 && /^(isolate|split|apart|transfer|net|elsewhere|differs)$/.test(drawn.verb)) continue;
    const ours = second !== null && random.next() < 0.4 ? forPool(drawn, 'db') : drawn;
    lines.push({ at: Math.round(at), ...ours });
  }
  return lines;
}
