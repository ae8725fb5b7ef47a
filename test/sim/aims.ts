/**
 * Families of schedules, each drawn from a seed like any other, but aimed at one situation that chance alone hardly puts
 * together: the one in which a certain mistake does harm. A correct member passes them all unharmed.
 */
import type { Millis } from '../../src/base/ids.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { ClientOptions } from './clients.ts';
import { parseScript, spanText } from './script.ts';
import type { WorldOptions } from './world.ts';

type Draw = (random: Random, at: Millis) => readonly string[];

interface Aim {
  /** What it makes likely. */
  readonly what: string;
  readonly members: readonly number[];
  readonly clients?: Partial<ClientOptions>;
  readonly raft?: WorldOptions['raft'];
  /** Of so many ms; played again and again. Infinity: once, from the first moment on. */
  readonly everyMs: Millis;
  readonly draw: Draw;
}

/** Many that ask all the time, so that somebody looks within the few ms in which it matters. */
const busy: Partial<ClientOptions> = { clients: 10, thinkMs: 60, keys: 12, reads: 0.5, strong: 0.1 };

const span = (random: Random, min: Millis, max: Millis): Millis => Math.round(min + random.next() * (max - min));
const at = (ms: Millis, what: string, forMs: Millis | null = null): string =>
  `at ${spanText(Math.round(ms * 1000) / 1000)} ${what}${forMs === null ? '' : ` for ${spanText(forMs)}`}`;

export const aims = {
  'late answers': {
    what: 'answers to a round come so late that another leads, and the round is still taken for a proof',
    members: [3, 5],
    clients: busy,
    everyMs: 6000,
    draw(random, t) {
      const [sent, late] = [span(random, 50, 250), span(random, 600, 800)];
      return [
        at(t, `lag leader ${late}ms in`, sent),
        at(t + sent, 'isolate leader out', 2500),
        at(t + sent + late + 10, 'isolate leader in', 1500),
      ];
    },
  },
  'hand-over unheard': {
    what: 'a leader that told another to stand does not hear that it was elected',
    members: [3, 5],
    clients: busy,
    everyMs: 5000,
    draw: (random, t) => [
      at(t, `transfer f${1 + random.below(2)}`),
      at(t + 2 + random.next() * 4, 'isolate leader', span(random, 1000, 2500)),
    ],
  },
  'leaseholder cut off': {
    what: 'a member with leave to write does not hear that the epoch moves, and another leader ends that',
    members: [3, 5],
    everyMs: 7000,
    draw(random, t) {
      const how = random.next() < 0.5 ? 'transfer f2' : 'crash leader';
      return [
        at(t, 'once pending +0ms isolate f1', 6000),
        at(t, `once pending +${span(random, 10, 60)}ms ${how}`, span(random, 10, 300)),
      ];
    },
  },
  'voter restarted': {
    what: 'a voter falls just after it had acknowledged a leader that nobody else hears, and another stands',
    members: [3],
    clients: busy,
    everyMs: 6000,
    draw(random, t) {
      const [other, voter] = random.next() < 0.5 ? ['f1', 'f2'] : ['f2', 'f1'];
      const fall = t + span(random, 1500, 3000);
      return [
        at(t, 'quiet'),
        at(t, 'once leads +0ms loud'),
        at(t, `cut leader ${other}`, 5000),
        at(fall, `crash ${voter}`, span(random, 1, 30)),
        at(fall, `cut leader ${voter}`, 2000),
      ];
    },
  },
  'leader far away': {
    what: 'one voter does not hear the leader, the others hear it late',
    members: [3],
    clients: busy,
    everyMs: 6000,
    draw: (random, t) => [
      at(t, 'quiet'),
      at(t, 'once leads +0ms loud'),
      at(t, `lag leader ${span(random, 100, 200)}ms`, 5000),
      at(t, `cut leader f${1 + random.below(2)}`, 4500),
    ],
  },
  'leaseholder asleep': {
    what: 'a machine with leave to write does not hear that the epoch moves, and sleeps',
    members: [3, 5],
    everyMs: 7500,
    draw: (random, t) => [
      at(t, 'once pending +0ms isolate f1', 6000),
      at(t, `once pending +${span(random, 5, 200)}ms suspend f1`, span(random, 1000, 2900)),
    ],
  },
  'leave comes late': {
    what: 'leave to write comes half a second late, and its holder is cut off before it hears that the epoch moves',
    members: [3, 5],
    everyMs: 7000,
    draw: (random, t) => [
      at(t, 'lag f1 500ms in', 6500),
      at(t + 600, `once pending +${span(random, 250, 450)}ms isolate f1`, 5000),
    ],
  },
  'clocks apart': {
    what: 'the clock of who holds leave to write is as slow as may be, that of who waits for its end as fast',
    members: [3, 5],
    everyMs: 7000,
    draw: (_random, t) => [
      at(t, 'drift leader 0.95%'),
      at(t, 'drift f1 -0.95%'),
      at(t, 'once pending +0ms isolate f1', 5500),
    ],
  },
  'pending unheard': {
    what: 'a member does not hear that an epoch moves, but asks for leave to write, and is cut off then',
    members: [3, 5],
    everyMs: 6500,
    draw: (random, t) => [
      at(t, 'once pending +0ms break leader'),
      at(t, 'once pending +0ms quiet'),
      at(t, `once pending +${span(random, 450, 590)}ms isolate f1`, 5000),
      at(t, 'once pending +2s loud'),
    ],
  },
  'slowly caught up': {
    what: 'a member comes back after another epoch opened, and hears of it late, entry by entry',
    members: [3, 5],
    clients: { clients: 8, thinkMs: 150 },
    raft: { maxAppendBytes: 1, maxInflight: 1 },
    everyMs: 9000,
    draw: (random, t) => [
      at(t, 'once pending +0ms isolate f1', 4500),
      at(t + 1000, `once open +0ms lag f1 ${span(random, 40, 120)}ms`, 5000),
    ],
  },
  'late acknowledgements': {
    what: 'acknowledgements come later than an append is given up for lost; entries are sent again in small pieces',
    members: [3],
    clients: { clients: 10, thinkMs: 80 },
    raft: { maxAppendBytes: 300 },
    everyMs: 7000,
    draw: (random, t) => [
      at(t, 'isolate f1', 5000),
      at(t + 100, `lag f2 ${span(random, 620, 850)}ms out`, 4000),
      at(t + span(random, 2000, 4500), 'isolate leader', 3000),
    ],
  },
  'figure 8': {
    what: 'an entry of an old term reaches a majority before one of the new leader, who falls just then',
    members: [3],
    clients: { clients: 10, thinkMs: 80 },
    raft: { maxAppendBytes: 1, maxInflight: 1 },
    everyMs: 14_000,
    draw(random, t) {
      const later = span(random, 95, 330);
      return [
        at(t, 'isolate leader', 3000),
        at(t + 10, 'once leads +0ms break leader'),
        at(t + 10, 'once leads +0ms isolate leader', span(random, 3400, 3800)),
        at(t + 2900, 'once leads +0ms lag leader 80ms out', 500),
        at(t + 2900, `once leads +${later}ms break leader`),
        at(t + 2900, `once leads +${later}ms isolate leader`, 4000),
      ];
    },
  },
  'two removals': {
    what: 'a leader that is cut off is told to leave out one voter, and then another',
    members: [3, 5],
    everyMs: 9000,
    draw: (random, t) => [
      at(t, 'isolate leader', 4000),
      ...[1, 2, 3, 4].map((n) => at(t + n * span(random, 1, 50), `remove f${n}`)),
    ],
  },
  'formed in halves': {
    what: 'first voters see each other in two parts, one after the other; who is in both loses its disk between',
    members: [5],
    everyMs: Number.POSITIVE_INFINITY,
    draw(random) {
      const lost = span(random, 900, 1500);
      const across = ['m1', 'm2'].flatMap((one) => ['m4', 'm5'].map((other) => `cut ${one} ${other}`));
      return [
        ...across.map((cut) => at(0, cut, 6000)),
        ...['m4', 'm5'].map((other) => at(0, `cut m3 ${other}`, lost)),
        ...['m1', 'm2'].map((one) => at(lost, `cut ${one} m3`, 6000)),
        at(lost, 'empty m3', span(random, 10, 300)),
      ];
    },
  },
} satisfies Record<string, Aim>;

export type AimName = keyof typeof aims;
export const aimNames = Object.keys(aims) as readonly AimName[];

const faultMs: Millis = 15_000;

/** The world of a seed that is aimed so. */
export function aimed(name: AimName, seed: number): WorldOptions {
  const { members, clients, raft, everyMs, draw }: Aim = aims[name];
  const random = seededRandom(seed * 4 + 3);
  const lines: string[] = [];
  const first = everyMs === Number.POSITIVE_INFINITY ? 0 : span(random, 2500, 4000);
  for (let t = first; t < faultMs; t += everyMs + span(random, 0, 1000)) lines.push(...draw(random, t));
  return {
    ...{ members: members[seed % members.length]!, spares: 0, copies: false, faultMs },
    ...{ script: parseScript(lines.join('\n')), ...(clients && { clients }), ...(raft && { raft }) },
  };
}
