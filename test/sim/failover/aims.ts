/**
 * Families of schedules of failover, each drawn from a seed like any other, but aimed at one situation that chance alone
 * hardly puts together: the one in which a certain mistake does harm. A correct member passes them all unharmed.
 */
import type { Millis } from '../../../src/base/ids.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { parseScript, spanText } from '../script.ts';
import type { Kind } from './policies.ts';
import type { FailoverWorldOptions } from './world.ts';

interface Aim {
  /** What it makes likely. */
  readonly what: string;
  readonly kind: Partial<Kind>;
  readonly everyMs: Millis;
  readonly faultMs?: Millis;
  readonly draw: (random: Random, at: Millis) => readonly string[];
}

const span = (random: Random, min: Millis, max: Millis): Millis => Math.round(min + random.next() * (max - min));
const at = (ms: Millis, what: string, forMs: Millis | null = null): string =>
  `at ${spanText(Math.round(ms))} ${what}${forMs === null ? '' : ` for ${spanText(forMs)}`}`;

const plain = {
  members: 3,
  nodes: 3,
  style: 'shared',
  onlyNodes: false,
  mode: 'automatic',
  withoutQuorum: 'stop',
  failback: 'manual',
  verify: false,
  maxLag: 0,
  former: false,
  spare: false,
  witness: false,
  second: null,
} satisfies Kind;

export const aims = {
  'cut off': {
    what: 'somebody with a slow clock is cut off as the primary dies; the clock of the leader is fast',
    kind: plain,
    everyMs: 7000,
    draw: (random, t) => [
      at(t, 'drift leader 0.48%'),
      at(t, 'drift f1 -0.48%'),
      at(t + 800, 'kill primary', 4000),
      at(t + span(random, 850, 1150), 'isolate f1', 5000),
    ],
  },
  'leave comes late': {
    what: 'words reach somebody late, and it is cut off as the primary dies',
    kind: plain,
    everyMs: 7000,
    draw: (random, t) => [
      at(t, 'lag f1 700ms in', 1400),
      at(t + 900, 'kill primary', 4000),
      at(t + span(random, 1000, 1200), 'isolate f1', 5000),
    ],
  },
  asleep: {
    what: 'a machine sleeps while the primary dies and another is opened',
    kind: plain,
    everyMs: 8000,
    draw: (random, t) => [at(t, 'kill primary', 2000), at(t + span(random, 10, 120), 'suspend follower', 4500)],
  },
  'a wrong file': {
    what: 'the file of one member has the primary at another url',
    kind: plain,
    everyMs: 4000,
    draw: (random, t) => [at(t, 'elsewhere any primary', span(random, 1000, 3000))],
  },
  'policies differ': {
    what: 'only a member whose policy is another reaches the node that is to be promoted',
    kind: { ...plain, style: 'before' },
    everyMs: 6000,
    draw: (random, t) => [
      at(t, 'differs f1', 5000),
      at(t + 50, `once pending +0ms unplug leader primary`, span(random, 1500, 3000)),
      at(t + 100, 'kill primary', 4000),
    ],
  },
  'back again': {
    what: 'the primary comes back after another was opened',
    kind: { ...plain, onlyNodes: true },
    everyMs: 8000,
    draw: (random, t) => [at(t, 'unplug all b', 1200), at(t + 1050, 'kill primary', span(random, 2200, 3500))],
  },
  'stands still': {
    what: 'a process stands still, threads and control, while the primary dies and another is opened',
    kind: plain,
    everyMs: 8000,
    draw: (random, t) => [at(t, 'kill primary', 1500), at(t + span(random, 10, 120), 'pause follower', 4500)],
  },
  switches: {
    what: 'an operator moves the primary all the time, and is not waited for',
    kind: { ...plain, onlyNodes: true },
    everyMs: 900,
    draw: (random, t) => [at(t, 'operator switch'), at(t + span(random, 200, 500), 'kill primary', 300)],
  },
  'fences in a row': {
    what: 'somebody that confirmed one fence holds writes in the next, and hears of it late',
    kind: plain,
    everyMs: 6000,
    draw: (random, t) => [
      at(t, 'kill primary', 700),
      at(t + 2500, 'kill primary', 3000),
      at(t + 2500, `once pending +0ms isolate f1`, span(random, 2000, 3500)),
      at(t + span(random, 2520, 2800), 'isolate f1', 3500),
    ],
  },
  'left out': {
    what: 'a member that has leave to write is cut off, left out of the cluster, and the primary dies',
    kind: { ...plain, spare: true },
    everyMs: 9000,
    draw: (random, t) => [
      at(t, 'isolate m4', 6000),
      at(t + 30, 'remove m4'),
      at(t + span(random, 100, 400), 'kill primary', 4000),
    ],
  },
  'one of two does not hear': {
    what: 'of two voters one has accepted that the epoch moves, and does not hear that it moved',
    kind: { ...plain, members: 2, onlyNodes: false },
    everyMs: 7500,
    draw: (random, t) => [
      at(t, 'once pending +0ms isolate f1', span(random, 4000, 5500)),
      at(t + 20, 'operator switch'),
    ],
  },
  'writes on without a quorum': {
    what: 'a member that writes on without a lease is cut off, and an operator moves the primary',
    kind: { ...plain, mode: 'manual', withoutQuorum: 'continue' },
    everyMs: 7000,
    draw: (random, t) => [at(t, 'isolate f1', 5500), at(t + span(random, 100, 800), 'operator switch')],
  },
  'silent candidate': {
    what: 'whoever is just being promoted falls silent, and another is tried while its hook may still take effect',
    kind: { ...plain, style: 'silent' },
    everyMs: 10_000,
    draw: (random, t) => [
      at(t, 'once promote +2ms unplug all primary', span(random, 3000, 9000)),
      at(t + 20, 'kill primary', 6000),
    ],
  },
  'mute hooks': {
    what: 'a node that takes hooks and gives no answer, as the faults stop',
    kind: { ...plain, style: 'before', nodes: 2 },
    everyMs: 13_000,
    draw: (random, t) => [
      at(t + 8000, 'kill primary', 500),
      at(t + 8000, 'once promote +1ms unplug all b in', span(random, 3000, 6000)),
      at(t + 8000, 'once promote +1ms unplug all a in', 4000),
    ],
  },
  'no candidate': {
    what: 'the primary is gone for long, and nobody may take its place',
    kind: { ...plain, style: 'before', nodes: 2, onlyNodes: true },
    everyMs: 40_000,
    faultMs: 42_000,
    draw: (random, t) => [at(t, 'kill other', 36_000), at(t + span(random, 200, 900), 'kill primary', 35_000)],
  },
  'cut off one by one': {
    what: 'one member after the other does not reach the primary for a while, never most of them together',
    kind: { ...plain, members: 5 },
    everyMs: 22_000,
    draw: (_random, t) => [
      at(t, 'unplug f1 primary', 4200),
      at(t + 3700, 'isolate f1', 16_000),
      at(t + 7000, 'unplug f2 primary', 4200),
      at(t + 10_700, 'isolate f2', 9000),
      at(t + 14_000, 'unplug f3 primary', 4200),
    ],
  },
  'switched unheard': {
    what: 'an operator moves the primary; somebody with tunnels to the old one does not hear of it',
    kind: plain,
    everyMs: 8500,
    draw: (random, t) => [
      at(t, 'once pending +0ms isolate f1', span(random, 4000, 6000)),
      at(t + 20, 'operator switch'),
    ],
  },
  'one lacks the last': {
    what: 'a node hears nothing of the last writes of the primary, and looks as good as the other when that dies',
    kind: { ...plain, style: 'before', onlyNodes: true },
    everyMs: 6000,
    draw: (random, t) => [
      at(t, 'deaf b', span(random, 400, 700)),
      at(t + span(random, 100, 350), 'kill primary', 3000),
    ],
  },
  'unreachable, and heard': {
    what: 'no member reaches the primary, and the other nodes do',
    kind: { ...plain, style: 'before', verify: true },
    everyMs: 8000,
    draw: (random, t) => [at(t, 'unplug all primary', span(random, 2000, 4000))],
  },
  'handed over unheard': {
    what: 'a primary hands over; somebody that is cut off writes to it for a while yet, and the other lacks just that',
    kind: { ...plain, style: 'after', nodes: 2 },
    everyMs: 8500,
    draw: (random, t) => [
      at(t, 'isolate f1', 5500),
      at(t + 50, 'operator switch'),
      at(t + span(random, 200, 500), 'deaf other', span(random, 3000, 5000)),
    ],
  },
  'lost within maxLag': {
    what: 'nodes that copy after they have answered lose the last writes, as far as the policy allows',
    kind: { ...plain, style: 'after', maxLag: 3, onlyNodes: true },
    everyMs: 5500,
    draw: (random, t) => [
      at(t, 'hang other', span(random, 100, 400)),
      at(t + span(random, 100, 400), 'kill primary', 4000),
    ],
  },
} satisfies Record<string, Aim>;

export type AimName = keyof typeof aims;
export const aimNames = Object.keys(aims) as readonly AimName[];

const defaultMs: Millis = 24_000;

/** The world of a seed that is aimed so. */
export function aimed(name: AimName, seed: number): FailoverWorldOptions {
  const { kind, everyMs, draw, faultMs = defaultMs }: Aim = aims[name];
  const random = seededRandom(seed * 4 + 3);
  const lines: string[] = [];
  for (let t = span(random, 3000, 4500); t < faultMs; t += everyMs + span(random, 0, 500))
    lines.push(...draw(random, t));
  return { ...plain, ...kind, faultMs, script: parseScript(lines.join('\n')) };
}
