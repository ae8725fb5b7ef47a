/**
 * The verbs of a schedule, and how one is drawn from a seed.
 *
 *   crash WHO            kills the process; started again after `for`
 *   pause WHO            the process stands still          suspend WHO    so does its machine's clock
 *   isolate WHO          from all others                   isolate WHO out | in    one way
 *   cut A B              both ways                         cut A > B      one way
 *   bridge WHO           two halves that see only it       split          two halves; WHO in the smaller one
 *   heal                 mends all links                   break WHO      its connections, with what is under way
 *   lag WHO 300ms [out | in]                               what it sends or is sent takes so much longer
 *   net bad|slow|lossy|late|good
 *   disk WHO slow|stuck|full|good
 *   copy WHO             keeps a copy of its disk          restore WHO [N] crash, put the copy back, N starts unheard, start
 *   twin WHO [N]         a second process on the copy      empty WHO      an empty disk instead of its own
 *   exchange A B         their disks change places
 *   drift WHO 0.9%       its clock's rate                  wall WHO +1h   its wall clock jumps
 *   restart all | most   at once                           transfer WHO | transfer any
 *   quiet                clients only read, no epoch moves  loud           and again
 *   add WHO              a member that was not there       remove WHO
 *   once EVENT +20ms VERB ...   when that happens next, and so much later: `leads`, a new leader; `pending`, `open`, the
 *                        pool's epoch begins to move, has moved
 *
 * Who is `f1`, `f2`, ...: the first, second, ... of those who don't lead.
 */
import type { Millis } from '../../src/base/ids.ts';
import type { Random } from '../../src/base/random.ts';
import type { DiskSwaps } from './disk-swaps.ts';
import type { Host } from './host.ts';
import type { Net } from './net.ts';
import { oneOf, type Queue } from './queue.ts';
import { type Line, lineText, spanOf } from './script.ts';

export interface FaultWorld {
  readonly queue: Queue;
  readonly net: Net;
  readonly random: Random;
  readonly hosts: readonly Host[];
  leader(): Host | undefined;
  start(host: Host): void;
  crash(host: Host): void;
  readonly swaps: DiskSwaps;
  suspended(ms: Millis): void;
  order(kind: 'add' | 'remove' | 'transfer', who: Host | null): void;
  once(event: string, then: () => void): void;
  /** Nobody writes. */
  quiet: boolean;
  note(who: string, text: string): void;
  covered(what: string): void;
}

/** Whom a line means, as its time has come. */
function whom(world: FaultWorld, word: string | undefined): Host | undefined {
  const leader = world.leader();
  if (word === 'leader') return leader;
  if (word === 'follower')
    return oneOf(
      world.random,
      world.hosts.filter((host) => host !== leader && host.body !== null),
    );
  if (word === 'any') return oneOf(world.random, world.hosts);
  const nth = /^f(\d)$/.exec(word ?? '');
  if (nth !== null) return world.hosts.filter((host) => host !== leader)[Number(nth[1]) - 1];
  return world.hosts.find(({ name }) => name === word);
}

type Undo = (() => void) | undefined;
type Act = (world: FaultWorld, words: readonly string[]) => Undo;

/** For one host; nothing happens if it is not there. */
const onOne =
  (act: (world: FaultWorld, host: Host, words: readonly string[]) => Undo): Act =>
  (world, [who, ...words]) => {
    const host = whom(world, who);
    return host === undefined ? undefined : act(world, host, words);
  };

function cutPairs(world: FaultWorld, pairs: readonly (readonly [Host, Host])[]): Undo {
  for (const [a, b] of pairs) world.net.cut(a.address, b.address);
  return () => {
    for (const [a, b] of pairs) world.net.mend(a.address, b.address);
  };
}

const both = (a: readonly Host[], b: readonly Host[]): (readonly [Host, Host])[] =>
  a.flatMap((one) =>
    b.flatMap(
      (other) =>
        [
          [one, other],
          [other, one],
        ] as const,
    ),
  );

function isolate(world: FaultWorld, host: Host, [way]: readonly string[]): Undo {
  const others = world.hosts.filter((other) => other !== host);
  const out = others.map((other) => [host, other] as const);
  const into = others.map((other) => [other, host] as const);
  return cutPairs(world, way === 'out' ? out : way === 'in' ? into : [...out, ...into]);
}

function lag({ net: wires, hosts }: FaultWorld, host: Host, [by, way]: readonly string[]): Undo {
  const pairs = hosts.flatMap((other) => [
    ...(other === host || way === 'in' ? [] : [[host, other] as const]),
    ...(other === host || way === 'out' ? [] : [[other, host] as const]),
  ]);
  const set = (ms: Millis): void => {
    for (const [from, to] of pairs) wires.lag(from.address, to.address, ms);
  };
  set(spanOf(by ?? '') ?? 0);
  return () => set(0);
}

function cut(world: FaultWorld, words: readonly string[]): Undo {
  const oneWay = words.includes('>');
  const [a, b] = words.filter((word) => word !== '>').map((word) => whom(world, word));
  if (a === undefined || b === undefined || a === b) return undefined;
  return cutPairs(world, oneWay ? [[a, b]] : both([a], [b]));
}

function bridge(world: FaultWorld, host: Host): Undo {
  const others = world.hosts.filter((other) => other !== host);
  const half = Math.ceil(others.length / 2);
  return cutPairs(world, both(others.slice(0, half), others.slice(half)));
}

function split(world: FaultWorld, host: Host): Undo {
  const others = world.hosts.filter((other) => other !== host);
  const few = [host, ...others.slice(0, Math.floor((world.hosts.length - 1) / 2) - 1)];
  return cutPairs(
    world,
    both(
      few,
      others.filter((other) => !few.includes(other)),
    ),
  );
}

function stand(how: 'paused' | 'suspended'): Act {
  return onOne((world, host) => {
    if (!host.awake) return undefined;
    host.pauseNow(how);
    const { run } = host;
    const since = world.queue.now;
    return () => {
      if (host.run !== run) return;
      if (how === 'suspended') world.suspended(world.queue.now - since);
      host.resume();
    };
  });
}

function net({ net: wires }: FaultWorld, [how]: readonly string[]): Undo {
  wires.calm();
  if (how === 'bad') {
    wires.loss = 0.15;
    wires.doubling = 0.2;
    wires.late = 0.1;
    wires.delay = [0.2, 60];
  } else if (how === 'lossy') wires.loss = 0.3;
  else if (how === 'slow') wires.delay = [100, 200];
  else if (how === 'late') {
    wires.late = 0.3;
    wires.lateMs = 1500;
    wires.doubling = 0.1;
  }
  return () => wires.calm();
}

function disk(_world: FaultWorld, host: Host, [how]: readonly string[]): Undo {
  const { disk: one } = host;
  if (how === 'slow') {
    one.landMs = [5, 120];
    one.reportMs = [0, 300];
  } else if (how === 'stuck') one.stuckUntil = Number.MAX_SAFE_INTEGER;
  else if (how === 'full') one.full = true;
  else one.calm();
  return () => {
    const wasStuck = one.stuckUntil > 0;
    one.calm();
    if (wasStuck) one.unstick();
  };
}

function hush(world: FaultWorld, quiet: boolean): Undo {
  world.quiet = quiet;
  return undefined;
}

function restart(world: FaultWorld, [whom]: readonly string[]): Undo {
  const most = Math.floor(world.hosts.length / 2) + 1;
  const first = world.random.below(world.hosts.length);
  const chosen = world.hosts.filter(
    (_host, i) => whom === 'all' || (i - first + world.hosts.length) % world.hosts.length < most,
  );
  for (const host of chosen) world.crash(host);
  return () => {
    for (const host of chosen) world.start(host);
  };
}

const acts: Readonly<Record<string, Act>> = {
  crash: onOne((world, host) => {
    world.crash(host);
    return () => world.start(host);
  }),
  pause: stand('paused'),
  suspend: stand('suspended'),
  isolate: onOne(isolate),
  cut,
  bridge: onOne(bridge),
  split: onOne(split),
  lag: onOne(lag),
  heal: (world) => void world.net.mendAll(),
  break: onOne((world, host) => {
    for (const other of world.hosts) {
      world.net.break(host.address, other.address);
      world.net.break(other.address, host.address);
    }
    return undefined;
  }),
  net,
  disk: onOne(disk),
  copy: onOne((world, host) => void world.swaps.keepCopy(host)),
  restore: onOne((world, host, [starts]) => {
    const silent = Number(starts ?? '0');
    if (world.swaps.putBack(host, silent)) world.covered(`disk: put back${silent > 0 ? ', started in silence' : ''}`);
    return undefined;
  }),
  twin: onOne((world, host, [starts]) => {
    if (world.swaps.startTwin(host, Number(starts ?? '0'))) world.covered('disk: two processes on one');
    return undefined;
  }),
  empty: onOne((world, host) => {
    world.swaps.empty(host);
    world.covered('disk: emptied');
    return () => world.start(host);
  }),
  exchange: onOne((world, host, [who]) => {
    const other = whom(world, who);
    if (other === undefined || other === host) return undefined;
    world.swaps.exchange(host, other);
    world.covered('disk: exchanged');
    return () => {
      world.start(host);
      world.start(other);
    };
  }),
  drift: onOne((world, host, [rate]) => {
    host.clock.setRate(world.queue.now, 1 + Number.parseFloat(rate ?? '0') / 100);
    return undefined;
  }),
  wall: onOne((_world, host, [by]) => {
    host.clock.wallOffset += spanOf(by ?? '') ?? 0;
    return undefined;
  }),
  restart,
  quiet: (world) => hush(world, true),
  loud: (world) => hush(world, false),
  transfer: (world, [who]) => void world.order('transfer', who === 'any' ? null : (whom(world, who) ?? null)),
  add: onOne((world, host) => void world.order('add', host)),
  remove: onOne((world, host) => void world.order('remove', host)),
};

/** Makes one line happen, and be undone when its time is over. */
export function act(world: FaultWorld, line: Line): void {
  if (line.verb === 'once') return wait(world, line);
  const how = acts[line.verb];
  if (how === undefined) throw new Error(`"${lineText(line)}": there is no verb "${line.verb}"`);
  world.note(
    'fault',
    [line.verb, ...line.words, ...(line.forMs === null ? [] : [`for ${Math.round(line.forMs)} ms`])].join(' '),
  );
  const undo = how(world, line.words);
  world.covered(`fault: ${nameOf(line)}`);
  if (undo !== undefined && line.forMs !== null) world.queue.after(line.forMs, undo);
}

function wait(world: FaultWorld, line: Line): void {
  const [event, later, verb, ...words] = line.words;
  if (event === undefined || verb === undefined) throw new Error(`"${lineText(line)}": once EVENT +TIME VERB ...`);
  const then = (): void => act(world, { at: world.queue.now, verb, words, forMs: line.forMs });
  world.once(event, () => world.queue.after(spanOf(later ?? '') ?? 0, then));
}

const nameOf = ({ verb, words }: Line): string => {
  const detail = words.find((word) => /^(bad|slow|lossy|late|stuck|full|most|out|in|>)$/.test(word));
  return detail === undefined ? verb : `${verb} ${detail}`;
};

const someone = ['leader', 'leader', 'follower', 'any'] as const;
type Draw = (random: Random, who: string, other: string) => Omit<Line, 'at'>;
const span = (random: Random, min: Millis, max: Millis): Millis => Math.round(min + random.next() * (max - min));

const line = (verb: string, words: readonly string[], forMs: Millis | null = null): Omit<Line, 'at'> => ({
  verb,
  words,
  forMs,
});

/** Each as likely as the others. */
const draws: readonly Draw[] = [
  (random, who) => line('crash', [who], span(random, 50, 4000)),
  (random, who) => line('crash', [who], span(random, 1, 50)),
  (random) => line('crash', ['leader'], span(random, 500, 4000)),
  (random, who) => line('pause', [who], span(random, 100, 5000)),
  (random) => line('pause', ['leader'], span(random, 1000, 10_000)),
  (random, who) => line('suspend', [who], span(random, 100, 5000)),
  (random, who) => line('suspend', [who], span(random, 5, 500)),
  (random, who) => line('isolate', [who], span(random, 200, 6000)),
  (random) => line('isolate', ['leader'], span(random, 1000, 6000)),
  (random, who) => line('isolate', [who, random.next() < 0.5 ? 'out' : 'in'], span(random, 500, 6000)),
  (random, who, other) => line('cut', [who, other], span(random, 500, 6000)),
  (random, who, other) => line('cut', [who, '>', other], span(random, 500, 6000)),
  (random, who) => line('bridge', [who], span(random, 1000, 6000)),
  (random, who) => line('split', [who], span(random, 1000, 6000)),
  () => line('heal', []),
  (_random, who) => line('break', [who]),
  (random) => line('net', ['bad'], span(random, 500, 6000)),
  (random) => line('net', ['lossy'], span(random, 500, 4000)),
  (random) => line('net', ['slow'], span(random, 500, 4000)),
  (random) => line('net', ['late'], span(random, 500, 4000)),
  (random, who) => line('disk', [who, 'slow'], span(random, 500, 5000)),
  (random, who) => line('disk', [who, 'stuck'], span(random, 200, 3000)),
  (random, who) => line('disk', [who, 'full'], span(random, 500, 2000)),
  (random, who) => line('drift', [who, `${(random.next() * 1.9 - 0.95).toFixed(2)}%`]),
  (random, who) => line('wall', [who, random.next() < 0.5 ? '+1h' : '-1h']),
  (random) => line('restart', [random.next() < 0.5 ? 'all' : 'most'], span(random, 10, 1500)),
  (_random, who) => line('transfer', [who]),
];

export interface DrawOptions {
  readonly untilMs: Millis;
  readonly meanMs: Millis;
  /** Names of spare members that may be added and removed. */
  readonly spares: readonly string[];
  /** Whether disks may be put back to an earlier copy. */
  readonly copies: boolean;
  readonly swaps: 'empty' | 'exchange' | 'twin' | null;
  /** Faults while the cluster is formed. */
  readonly early: boolean;
  readonly members: number;
}

/** A schedule, whole, before anything happens: so it can be printed, shortened and run again. */
export function drawScript(random: Random, options: DrawOptions): readonly Line[] {
  const lines: Line[] = [];
  if (options.copies) {
    const [who, at] = [`m${1 + random.below(3)}`, span(random, 2000, 15_000)];
    const restored = at + span(random, 3000, 20_000);
    const silent = random.next() < 0.5 ? [] : [`${1 + random.below(40)}`];
    lines.push({ at, ...line('copy', [who]) }, { at: restored, ...line('restore', [who, ...silent]) });
  }
  lines.push(...drawSwap(random, options), ...drawEarly(random, options));
  for (let at = 1500 + random.next() * options.meanMs; at < options.untilMs; at += random.next() * 2 * options.meanMs) {
    const dice = random.next();
    const spare = oneOf(random, options.spares);
    const when = Math.round(at);
    if (spare !== undefined && dice < 0.06)
      lines.push({ at: when, ...line(random.next() < 0.6 ? 'add' : 'remove', [spare]) });
    else {
      const draw = draws[random.below(draws.length)]!;
      lines.push({ at: when, ...draw(random, oneOf(random, someone)!, oneOf(random, someone)!) });
    }
  }
  return lines.sort((a, b) => a.at - b.at);
}

function drawSwap(random: Random, { swaps, members, early }: DrawOptions): readonly Line[] {
  if (swaps === null) return [];
  const n = random.below(members);
  const [who, other] = [`m${n + 1}`, `m${((n + 1) % members) + 1}`];
  const at = early ? span(random, 50, 2500) : span(random, 2000, 15_000);
  if (swaps === 'empty') return [{ at, ...line('empty', [who], span(random, 10, 8000)) }];
  if (swaps === 'exchange') return [{ at, ...line('exchange', [who, other], span(random, 10, 3000)) }];
  return [
    { at, ...line('copy', [who]) },
    { at: at + 1000, ...line('crash', [who], span(random, 50, 1000)) },
    { at: at + span(random, 5000, 20_000), ...line('twin', [who, `${random.below(9)}`]) },
  ];
}

/** While they form: they start one by one, fall, are cut off, and forget what they had not written. */
function drawEarly(random: Random, { early }: DrawOptions): readonly Line[] {
  const lines: Line[] = [];
  if (!early) return lines;
  for (let at = 20 + random.next() * 100; at < 4000; at += 20 + random.next() * 300) {
    const draw = draws[random.below(draws.length)]!;
    const drawn = draw(random, 'any', 'any');
    lines.push({ at: Math.round(at), ...drawn, forMs: drawn.forMs === null ? null : Math.ceil(drawn.forMs / 4) });
  }
  return lines;
}

/** Names that coverage counts. */
export const faultNames: readonly string[] = [
  'crash',
  'pause',
  'suspend',
  'isolate',
  'isolate out',
  'isolate in',
  'cut',
  'cut >',
  'bridge',
  'split',
  'heal',
  'break',
  'net bad',
  'net lossy',
  'net slow',
  'net late',
  'disk slow',
  'disk stuck',
  'disk full',
  'drift',
  'wall',
  'restart',
  'restart most',
  'transfer',
  'copy',
  'restore',
  'twin',
  'empty',
  'exchange',
  'add',
  'remove',
].map((name) => `fault: ${name}`);
