import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Command } from '../../../src/cluster/replica/command.ts';
import { counterFloor } from '../../../src/cluster/replica/model.ts';
import { SortedKeys } from '../../../src/cluster/replica/sorted-keys.ts';
import { Bench, bytes, text, wall } from './bench.ts';

const base = counterFloor(wall);

describe('keys and values', () => {
  it('revisions of a new state begin above seconds << 20, exact as numbers, and grow by one', () => {
    const b = new Bench();
    expect(b.set('a', '1')).toEqual({ kind: 'written', revision: base + 1 });
    expect(b.set('a', '2')).toEqual({ kind: 'written', revision: base + 2 });
    expect(b.do({ kind: 'delete', key: 'a', when: { kind: 'any' } })).toEqual({ kind: 'deleted', revision: base + 3 });
    expect(base).toBe(1_800_000_000 * 2 ** 20);
    expect(base + 2 ** 30).toBeLessThan(Number.MAX_SAFE_INTEGER);
  });

  it('a key knows the revision that made it, since its last deletion, and the one that changed it', () => {
    const b = new Bench();
    b.set('a', '1');
    b.set('a', '2');
    expect(b.replica.kv.get('a')).toMatchObject({ created: base + 1, revision: base + 2 });
    b.do({ kind: 'delete', key: 'a', when: { kind: 'any' } });
    expect(b.replica.kv.get('a')).toBeNull();
    b.set('a', '3');
    expect(b.replica.kv.get('a')).toMatchObject({ created: base + 4, revision: base + 4 });
  });

  it('deleting what is absent changes nothing and takes no revision', () => {
    const b = new Bench();
    b.set('a', '1');
    const { result, events } = b.apply({ kind: 'delete', key: 'b', when: { kind: 'any' } });
    expect(result).toEqual({ kind: 'deleted', revision: null });
    expect(events).toEqual([]);
    expect(b.replica.kv.revision.value).toBe(base + 1);
  });

  it('a write takes place only if its condition holds; else it tells the revision that stands', () => {
    const b = new Bench();
    expect(b.set('a', '1', { when: { kind: 'revision', revision: 5 } })).toEqual({ kind: 'conflict', revision: null });
    expect(b.set('a', '1', { when: { kind: 'value', value: bytes('') } })).toMatchObject({ kind: 'conflict' });
    expect(b.set('a', '1', { when: { kind: 'absent' } })).toMatchObject({ kind: 'written' });
    expect(b.set('a', '2', { when: { kind: 'absent' } })).toEqual({ kind: 'conflict', revision: base + 1 });
    expect(b.set('a', '2', { when: { kind: 'value', value: bytes('0') } })).toMatchObject({ kind: 'conflict' });
    expect(b.set('a', '2', { when: { kind: 'value', value: bytes('1') } })).toMatchObject({ kind: 'written' });
    const stale = { kind: 'revision', revision: base + 1 } as const;
    expect(b.do({ kind: 'delete', key: 'a', when: stale })).toEqual({ kind: 'conflict', revision: base + 2 });
    const fresh = { kind: 'revision', revision: base + 2 } as const;
    expect(b.do({ kind: 'delete', key: 'a', when: fresh })).toEqual({ kind: 'deleted', revision: base + 3 });
  });

  it('what is too large or too many is refused with its bound, and changes nothing', () => {
    const b = new Bench({ keyBytes: 4, valueBytes: 8, keys: 2, totalBytes: 16 });
    expect(b.set('ünf', 'x')).toMatchObject({ kind: 'written' });
    expect(b.set('fünf', 'x')).toEqual({ kind: 'too-large', what: 'key', size: 5, max: 4 });
    expect(b.set('a', '123456789')).toEqual({ kind: 'too-large', what: 'value', size: 9, max: 8 });
    expect(b.set('b', '12345678')).toMatchObject({ kind: 'written' });
    expect(b.set('c', '1')).toEqual({ kind: 'full', what: 'keys', max: 2 });
    expect(b.set('ünf', '1234')).toEqual({ kind: 'too-large', what: 'total', size: 17, max: 16 });
    expect(b.get('ünf')).toBe('x');
    b.do({ kind: 'delete', key: 'b', when: { kind: 'any' } });
    expect(b.set('ünf', '1234')).toMatchObject({ kind: 'written' });
    expect(b.replica.kv.bytes).toBe(8);
  });

  it('behaves as a Map does, for any commands', () => {
    const key = fc.constantFrom('a', 'ab', 'b', 'ba', 'é');
    const value = fc.constantFrom('', 'x', 'y');
    const when = fc.oneof(
      fc.constant({ kind: 'any' as const }),
      fc.constant({ kind: 'absent' as const }),
      fc.record({ kind: fc.constant('value' as const), value: value.map(bytes) }),
    );
    const command: fc.Arbitrary<Command> = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), key, value: value.map(bytes), lease: fc.constant(null), when }),
      fc.record({ kind: fc.constant('delete' as const), key, when }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        const b = new Bench();
        const model = new Map<string, string>();
        for (const one of commands) {
          if (one.kind !== 'set' && one.kind !== 'delete') continue;
          const before = model.get(one.key);
          const { when } = one;
          const holds =
            when.kind === 'any' ||
            (when.kind === 'absent' && before === undefined) ||
            (when.kind === 'value' && before === text(when.value));
          const { kind } = b.do(one);
          expect(kind === 'conflict').toBe(!holds);
          if (!holds) continue;
          if (one.kind === 'set') model.set(one.key, text(one.value)!);
          else model.delete(one.key);
        }
        for (const prefix of ['', 'a', 'b', 'c']) {
          const listed = b.replica.kv.list({ prefix, after: null, max: 10 }).entries;
          const expected = [...model].filter(([one]) => one.startsWith(prefix)).sort(([x], [y]) => (x < y ? -1 : 1));
          expect(listed.map((entry) => [entry.key, text(entry.value)])).toEqual(expected);
        }
      }),
    );
  });
});

describe('lists', () => {
  it('come in pages that together are the whole, each key once', () => {
    const b = new Bench();
    for (let i = 0; i < 25; i++) b.set(`p/${String(i).padStart(2, '0')}`, '');
    b.set('o', '');
    b.set('q', '');
    const seen: string[] = [];
    for (let after: string | null = null; ; ) {
      const { entries, more } = b.replica.kv.list({ prefix: 'p/', after, max: 10 });
      seen.push(...entries.map((entry) => entry.key));
      if (!more) break;
      after = seen.at(-1)!;
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => `p/${String(i).padStart(2, '0')}`));
  });

  it('stay sorted over thousands of keys that come and go in any order', () => {
    const keys = new SortedKeys();
    const model = new Set<string>();
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(4000)), { minLength: 300, maxLength: 600 }), (steps) => {
        for (const [add, number] of steps) {
          const key = String(number);
          if (add || number % 3 === 0) {
            keys.add(key);
            model.add(key);
          } else {
            keys.delete(key);
            model.delete(key);
          }
        }
        expect(keys.list({ prefix: '', after: null, max: 5000 })).toEqual([...model].sort());
        const after = [...model].sort().filter((key) => key > '2' && key.startsWith('2'));
        expect(keys.list({ prefix: '2', after: '2', max: 5000 })).toEqual(after);
      }),
      { numRuns: 30 },
    );
    expect(model.size).toBeGreaterThan(1024);
  });
});

describe('keys in order', () => {
  it('are found on both sides of a range that was emptied', () => {
    const keys = new SortedKeys();
    const name = (i: number): string => String(i).padStart(5, '0');
    for (let i = 0; i < 5000; i++) keys.add(name(i));
    for (let i = 600; i < 4400; i++) keys.delete(name(i));
    for (const i of [599, 2000, 4400]) keys.add(name(i));
    const listed = keys.list({ prefix: '', after: name(598), max: 4 });
    expect(listed).toEqual([599, 2000, 4400, 4401].map(name));
    for (let i = 0; i < 5000; i++) keys.delete(name(i));
    expect(keys.list({ prefix: '', after: null, max: 1 })).toEqual([]);
  });
});

describe('watches and the past', () => {
  it('changes since a revision come in order, of the prefix only, and say what was before', () => {
    const b = new Bench();
    b.set('p/a', '1');
    b.set('q', '1');
    b.set('p/a', '2');
    b.do({ kind: 'delete', key: 'p/a', when: { kind: 'any' } });
    const since = b.replica.kv.since(base + 1, 'p/');
    expect(since).toMatchObject({ kind: 'changes', upTo: base + 4 });
    const seen = since.kind === 'changes' ? since.changes : [];
    expect(seen.map((one) => [one.revision, text(one.previous?.value), text(one.entry?.value)])).toEqual([
      [base + 3, '1', '2'],
      [base + 4, '2', undefined],
    ]);
  });

  it('a key can be read as it was at a revision', () => {
    const b = new Bench();
    b.set('a', '1');
    b.set('b', '1');
    b.set('a', '2');
    b.do({ kind: 'delete', key: 'a', when: { kind: 'any' } });
    const at = (revision: number): string | undefined => {
      const past = b.replica.kv.getAt('a', revision);
      return past.kind === 'entry' ? text(past.entry?.value) : past.kind;
    };
    expect([1, 2, 3, 4, 9].map((n) => at(base + n))).toEqual(['1', '1', '2', undefined, undefined]);
    expect(at(base)).toBe(undefined);
    expect(at(base - 1)).toBe('compacted');
  });

  it('what fell out of the log of changes is said to be compacted, by number and by bytes', () => {
    for (const limits of [{ changes: 3 }, { changeBytes: 1000 }]) {
      const b = new Bench(limits);
      for (let i = 0; i < 20; i++) b.set('a', 'x'.repeat(100));
      const { floor } = b.replica.kv;
      expect(floor).toBeGreaterThan(base + 10);
      expect(b.replica.kv.since(floor - 1, '')).toEqual({ kind: 'compacted', floor });
      expect(b.replica.kv.getAt('a', floor - 1)).toEqual({ kind: 'compacted', floor });
      const since = b.replica.kv.since(floor, '');
      expect(since.kind === 'changes' && since.changes[0]?.revision).toBe(floor + 1);
    }
  });

  it('a watch that goes on from any revision misses nothing and sees nothing twice', () => {
    const b = new Bench({ changes: 5000 });
    const seen: number[] = [];
    let from = base;
    for (let i = 0; i < 3000; i++) {
      b.set(`k${i % 7}`, String(i));
      if (i % 11 !== 0) continue;
      const since = b.replica.kv.since(from, '');
      if (since.kind !== 'changes') throw new Error('compacted');
      seen.push(...since.changes.map((one) => one.revision));
      from = since.upTo;
    }
    expect(seen).toEqual(Array.from({ length: seen.length }, (_, i) => base + 1 + i));
  });
});
