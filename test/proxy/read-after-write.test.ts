/** What a client that has written must see, as a table of the rules; and the text of its token. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Known,
  needOf,
  readPosition,
  readTokenText,
  strictNeed,
  type Token,
  tokenText,
} from '../../src/proxy/read-after-write.ts';
import { maxForks } from '../../src/scoreboard/primary.ts';

const known = (change: Partial<Known> = {}): Known => ({
  epoch: 5,
  live: true,
  forks: [
    { epoch: 1, position: null },
    { epoch: 3, position: 100 },
    { epoch: 5, position: 200 },
  ],
  bound: 5000,
  wall: 1_000_000,
  ...change,
});
const token = (epoch: number, position: number | null, at = 999_000): Token => ({ epoch, position, at });

const primary = { kind: 'primary', lost: false };
const lost = { kind: 'primary', lost: true };
const reached = (position: number) => ({ kind: 'reached', position });

describe('a token', () => {
  it.each([
    ['none: any reader', null, known(), { kind: 'any' }],
    ['none, without a lease: any reader', null, known({ live: false }), { kind: 'any' }],
    ['of this epoch: who has reached it', token(5, 250), known(), reached(250)],
    ['of a newer epoch: nobody here is known to have it (6.3)', token(6, 1), known(), { kind: 'wait' }],
    ['without a live lease: wait (6.3)', token(5, 1), known({ live: false }), { kind: 'wait' }],
    ['forged: the primary', 'forged' as const, known(), primary],
    ['forged, without a live lease: wait', 'forged' as const, known({ live: false }), { kind: 'wait' }],
    ['of an older epoch, at the fork: in the history (6.2)', token(4, 200), known(), reached(200)],
    ['of an older epoch, above the fork: lost (6.2)', token(4, 201), known(), lost],
    [
      'below one fork, above a later one: lost (6.2)',
      token(2, 100),
      known({
        forks: [
          { epoch: 3, position: 120 },
          { epoch: 5, position: 90 },
        ],
      }),
      lost,
    ],
    ['above one fork, below a later one: lost (6.2)', token(2, 101), known(), lost],
    ['below all forks since: in the history', token(2, 100), known(), reached(100)],
    [
      'with a fork whose position nobody told: the primary',
      token(2, 100),
      known({
        forks: [
          { epoch: 3, position: null },
          { epoch: 5, position: 200 },
        ],
      }),
      primary,
    ],
    [
      'with forks that end before this epoch: the primary',
      token(2, 50),
      known({ forks: [{ epoch: 3, position: 100 }] }),
      primary,
    ],
    ['without a known fork: the primary', token(2, 50), known({ forks: [] }), primary],
    ['without a position, fresh: the primary', token(5, null, 996_000), known(), primary],
    ['without a position, after the bound: any reader', token(5, null, 995_000), known(), { kind: 'any' }],
    ['without a position, of a clock that is ahead: the primary', token(5, null, 1_100_000), known(), primary],
  ])('%s', (_, made, view, expected) => {
    expect(needOf(made, view)).toEqual(expected);
  });

  it('older than all forks that are kept: one may have been thrown away, so the primary', () => {
    const forks = Array.from({ length: maxForks }, (_, i) => ({ epoch: 10 + i, position: 1000 + i }));
    const view = known({ epoch: 9 + maxForks, forks });
    expect(needOf(token(3, 500), view)).toEqual(primary);
    expect(needOf(token(10, 500), view)).toEqual(reached(500));
    expect(needOf(token(3, 5000), view)).toEqual(lost);
  });

  it('a replica that passes has the write, whatever the epochs and forks (against a model of histories)', () => {
    const history = fc.array(fc.record({ grows: fc.nat(20), drops: fc.nat(20) }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(history, fc.nat(200), fc.nat(10), (changes, at, pick) => {
        // A timeline: the list of writes that the primary of each epoch has; an opening cuts its end off.
        let timeline: string[] = [];
        const all: { epoch: number; position: number; write: string }[] = [];
        const forks: { epoch: number; position: number }[] = [];
        changes.forEach(({ grows, drops }, i) => {
          timeline = timeline.slice(0, Math.max(0, timeline.length - drops));
          forks.push({ epoch: i + 1, position: timeline.length });
          for (let n = 0; n <= grows; n++) {
            timeline.push(`${i + 1}:${n}`);
            all.push({ epoch: i + 1, position: timeline.length, write: timeline.at(-1)! });
          }
        });
        const one = all[at % all.length]!;
        const need = needOf(token(one.epoch, one.position), known({ epoch: changes.length, forks }));
        const replica = timeline.slice(0, timeline.length - (pick % (timeline.length + 1)));
        if (need.kind === 'reached' && replica.length >= need.position) expect(replica).toContain(one.write);
        if (need.kind === 'primary') expect(timeline.includes(one.write)).toBe(!need.lost);
      }),
    );
  });
});

describe('strict reads', () => {
  it('see the highest position that was passed on; the primary where none is known; nothing without a lease', () => {
    expect(strictNeed(known(), 77)).toEqual(reached(77));
    expect(strictNeed(known(), null)).toEqual(primary);
    expect(strictNeed(known({ live: false }), 77)).toEqual({ kind: 'wait' });
  });
});

describe('the text of a token', () => {
  it('gives back what went in', () => {
    const whole = fc.maxSafeNat();
    fc.assert(
      fc.property(whole, fc.option(whole), whole, (epoch, position, at) => {
        expect(readTokenText(tokenText({ epoch, position, at }))).toEqual({ epoch, position, at });
      }),
    );
  });

  it('is nothing else', () => {
    for (const text of [
      '',
      '1',
      '1.2.3',
      '2.1.1.1',
      '1.a.b.c.d',
      '1.-.1.1',
      '1.1.-.-',
      '1.A.1.1',
      '1.zzzzzzzzzzz.1.1',
      '1. 1.1.1',
    ])
      expect(readTokenText(text)).toBeNull();
    fc.assert(fc.property(fc.string(), (text) => void readTokenText(text)));
  });
});

describe('a position', () => {
  it('is a whole number below 2^53', () => {
    expect(['0', '12', '9007199254740991'].map(readPosition)).toEqual([0, 12, 2 ** 53 - 1]);
    expect(['', '-1', '1.5', '9007199254740992', '1e3', '0x1', ' 1', 'NaN', undefined].map(readPosition)).toEqual(
      Array(9).fill(-1),
    );
  });
});
