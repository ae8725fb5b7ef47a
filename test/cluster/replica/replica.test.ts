import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeProposal, proposalVersion } from '../../../src/cluster/replica/codec.ts';
import { counterFloor } from '../../../src/cluster/replica/model.ts';
import { Replica } from '../../../src/cluster/replica/replica.ts';
import { story } from './arbitraries.ts';
import { Bench, bytes, replay, wall } from './bench.ts';
import { play } from './play.ts';

const anything = { kind: 'any' } as const;

describe('applying', () => {
  it('is a function of the entries: the same log gives the same results, events and hash', () => {
    fc.assert(
      fc.property(story, (steps) => {
        const b = new Bench({ resultsPerProposer: 4, changes: 10 });
        const first = play(b, steps);
        const other = new Replica(b.replica.limits);
        const second = b.log.map((entry) => other.apply(entry));
        expect(second).toEqual(first);
        expect(other.hash()).toEqual(b.replica.hash());
      }),
      { numRuns: 300 },
    );
  });

  it('never throws, whatever an entry holds, and counts what it cannot read', () => {
    const b = new Bench();
    b.set('a', '1');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (raw) => {
        b.append(raw);
      }),
    );
    const { unreadable } = b.replica.counts;
    expect(unreadable).toBeGreaterThan(90);
    const { result, events } = b.append(new Uint8Array([1, 2, 3]));
    expect(result).toEqual({ kind: 'unreadable' });
    expect(events).toEqual([{ kind: 'unreadable', index: b.replica.index, why: 'malformed' }]);
    expect(b.replica.counts.unreadable).toBe(unreadable + 1);
    expect(b.get('a')).toBe('1');
  });

  it('an entry of a newer version says so, since this member must stop', () => {
    const b = new Bench();
    const raw = encodeProposal({
      proposer: { uid: 'a', boot: 1, number: 1 },
      at: wall,
      command: { kind: 'expire' },
    });
    raw[0] = proposalVersion + 1;
    expect(b.append(raw).events).toEqual([{ kind: 'unreadable', index: 1, why: 'version' }]);
  });

  it('an entry that is none of its business moves the index only', () => {
    const b = new Bench();
    b.set('a', '1');
    const { revision } = b.replica.kv.get('a')!;
    expect(b.append(null)).toEqual({ result: { kind: 'done' }, events: [] });
    expect(b.replica.index).toBe(2);
    expect(b.replica.kv.revision.value).toBe(revision);
  });

  it('an entry out of order is a bug of the driver', () => {
    const b = new Bench();
    expect(() => b.replica.apply({ index: 2, term: 1, data: null })).toThrow('replica at 0 was given entry 2');
  });

  it('each 1 000 entries the hash of the state is told', () => {
    const b = new Bench();
    const told: number[] = [];
    for (let i = 0; i < 2500; i++) {
      for (const event of b.apply({ kind: 'note', topic: 't', subject: 's', text: String(i) }).events) {
        if (event.kind !== 'hash') continue;
        told.push(event.index);
        expect(event.hash).toEqual(b.replica.hash());
      }
    }
    expect(told).toEqual([1000, 2000]);
  });

  it('states that differ in one thing have unlike hashes', () => {
    const make = (change: (b: Bench) => void): string => {
      const b = new Bench();
      b.set('a', '1');
      b.acquire('l', 'ann');
      change(b);
      return b.replica.hash().join();
    };
    const hashes = [
      make((b) => b.set('b', '1')),
      make((b) => b.set('b', '2')),
      make((b) => b.set('c', '1')),
      make((b) => b.set('a', '1')),
      make((b) => b.acquire('l', 'bob')),
      make((b) => b.acquire('m', 'bob')),
      make((b) => b.do({ kind: 'grant', ttlMs: 5 })),
      make((b) => b.do({ kind: 'register', what: 'node', id: 'n', facts: [] })),
      make((b) => b.do({ kind: 'register', what: 'member', id: 'n', facts: [] })),
      make((b) => b.do({ kind: 'note', topic: 'n', subject: '', text: '' })),
      make((b) => b.do({ kind: 'expire' })),
      make((b) => b.do({ kind: 'expire' }, { uid: 'b' })),
      make((b) => b.append(null)),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

describe('the agreed clock', () => {
  it('never runs back, whatever a leader stamps', () => {
    const b = new Bench();
    b.set('a', '1');
    b.now -= 5000;
    b.do({ kind: 'grant', ttlMs: 100 });
    expect(b.replica.now).toBe(wall);
    expect(b.replica.nextExpiry()).toBe(wall + 100);
  });

  it('counters begin at the first stamp and are not moved by later ones', () => {
    const b = new Bench();
    b.append(null);
    expect(b.replica.tokens.value).toBe(0);
    b.set('a', '1');
    b.now += 86_400_000;
    b.set('a', '2');
    expect(b.replica.kv.revision.value).toBe(counterFloor(wall) + 2);
    expect(b.replica.tokens.value).toBe(counterFloor(wall));
  });
});

describe('leases', () => {
  it('the keys of a lease go when it does: by time, by word', () => {
    const b = new Bench();
    const first = b.do({ kind: 'grant', ttlMs: 100 });
    const second = b.do({ kind: 'grant', ttlMs: 100 });
    if (first.kind !== 'granted' || second.kind !== 'granted') throw new Error('not granted');
    b.set('b', '1', { lease: first.lease });
    b.set('a', '1', { lease: first.lease });
    b.set('c', '1', { lease: second.lease });
    b.set('d', '1', { lease: second.lease });
    b.set('d', '2');
    expect(b.do({ kind: 'revoke', lease: second.lease })).toEqual({ kind: 'done' });
    expect(b.get('c')).toBeUndefined();
    expect(b.get('d')).toBe('2');
    expect(b.pass(99)).toEqual([]);
    const ended = b.pass(1);
    expect(ended.map((event) => (event.kind === 'changed' ? event.change.key : event.kind))).toEqual([
      'a',
      'b',
      'lease-ended',
    ]);
    expect(b.replica.kv.size).toBe(1);
  });

  it('ends the earliest first, of equal ones the older', () => {
    const b = new Bench();
    const ids = [50, 20, 90, 20, 50].map((ttlMs) => {
      const granted = b.do({ kind: 'grant', ttlMs });
      return granted.kind === 'granted' ? granted.lease : 0;
    });
    b.do({ kind: 'keep-alive', lease: ids[1]! });
    expect(b.replica.nextExpiry()).toBe(wall + 20);
    const ended = b.pass(100).map((event) => (event.kind === 'lease-ended' ? ids.indexOf(event.lease) : -1));
    expect(ended).toEqual([1, 3, 0, 4, 2]);
    expect(b.replica.nextExpiry()).toBe(Number.POSITIVE_INFINITY);
  });

  it('lives on while it is kept alive, and what has run out still can be until an expire says so', () => {
    const b = new Bench();
    const granted = b.do({ kind: 'grant', ttlMs: 100 });
    const lease = granted.kind === 'granted' ? granted.lease : 0;
    for (let i = 0; i < 20; i++) {
      b.now += 80;
      expect(b.do({ kind: 'keep-alive', lease })).toEqual({ kind: 'extended', expiresAt: b.now + 100 });
      expect(b.pass(0)).toEqual([]);
    }
    b.now += 150;
    expect(b.do({ kind: 'keep-alive', lease })).toMatchObject({ kind: 'extended' });
    b.pass(100);
    expect(b.do({ kind: 'keep-alive', lease })).toEqual({ kind: 'absent', what: 'lease' });
    expect(b.do({ kind: 'revoke', lease })).toEqual({ kind: 'absent', what: 'lease' });
    expect(b.set('a', '1', { lease })).toEqual({ kind: 'absent', what: 'lease' });
  });

  it('too many, or too long ones, are refused', () => {
    const b = new Bench({ leases: 1, ttlMaxMs: 1000 });
    expect(b.do({ kind: 'grant', ttlMs: 1001 })).toEqual({ kind: 'too-large', what: 'ttl', size: 1001, max: 1000 });
    b.do({ kind: 'grant', ttlMs: 10 });
    expect(b.do({ kind: 'grant', ttlMs: 10 })).toEqual({ kind: 'full', what: 'leases', max: 1 });
  });
});

describe('nothing is applied twice', () => {
  it('a repeated proposal gets the first answer and changes nothing', () => {
    const b = new Bench();
    const from = { uid: 'm', number: 1 };
    const first = b.do({ kind: 'set', key: 'a', value: bytes('1'), lease: null, when: { kind: 'absent' } }, from);
    b.set('a', '2');
    const again = b.do({ kind: 'set', key: 'a', value: bytes('1'), lease: null, when: { kind: 'absent' } }, from);
    expect(again).toEqual(first);
    expect(b.get('a')).toBe('2');
    expect(b.replica.counts.repeated).toBe(1);
  });

  it('is so for every proposal of any log: doubled entries leave the state as it was', () => {
    fc.assert(
      fc.property(story, (steps) => {
        const once = new Bench();
        play(once, steps);
        const twice = new Bench();
        for (const { data } of once.log) {
          const before = twice.append(data).result;
          const hash = twice.replica.kv.table.fingerprint.join() + twice.replica.locks.table.fingerprint.join();
          expect(twice.append(data).result).toEqual(before);
          expect(twice.replica.kv.table.fingerprint.join() + twice.replica.locks.table.fingerprint.join()).toBe(hash);
        }
        expect(twice.replica.kv.table.fingerprint).toEqual(once.replica.kv.table.fingerprint);
        expect(twice.replica.locks.table.fingerprint).toEqual(once.replica.locks.table.fingerprint);
      }),
      { numRuns: 100 },
    );
  });

  it('a proposal that was overtaken is applied while it is inside the window, and unknown below it', () => {
    const b = new Bench({ resultsPerProposer: 3 });
    const note = (number: number): string =>
      b.do({ kind: 'note', topic: 't', subject: 's', text: String(number) }, { uid: 'm', number }).kind;
    expect([note(1), note(4), note(3), note(3)]).toEqual(['done', 'done', 'done', 'done']);
    expect(b.replica.history.last).toBe(3);
    expect([note(1), note(2), note(5), note(2)]).toEqual(['unknown', 'done', 'done', 'unknown']);
    expect(note(100)).toBe('done');
    expect([note(5), note(97)]).toEqual(['unknown', 'unknown']);
    expect(note(98)).toBe('done');
    expect(b.replica.proposers.tables[1].size).toBe(2);
  });

  it('a new boot begins with an empty window; what the old one sends late is unknown', () => {
    const b = new Bench();
    const note = (boot: number, number: number): string =>
      b.do({ kind: 'note', topic: 't', subject: 's', text: '' }, { uid: 'm', boot, number }).kind;
    expect([note(1, 5), note(1, 9), note(2, 5), note(2, 1)]).toEqual(['done', 'done', 'done', 'done']);
    expect([note(1, 10), note(1, 9)]).toEqual(['unknown', 'unknown']);
    expect(b.replica.proposers.tables[1].size).toBe(2);
    expect(note(2, 9)).toBe('done');
    expect(b.replica.history.last).toBe(5);
  });

  it('when the table is full, only a proposer that was silent for long makes room', () => {
    const b = new Bench({ proposers: 2, proposerIdleMs: 1000 });
    const by = (uid: string): string => b.do({ kind: 'delete', key: 'k', when: anything }, { uid, number: 1 }).kind;
    expect([by('a'), by('b'), by('c')]).toEqual(['deleted', 'deleted', 'full']);
    b.now += 999;
    expect(by('c')).toBe('full');
    b.now += 1;
    expect(by('c')).toBe('deleted');
    expect(b.replica.proposers.tables[0].capture().map((one) => one.uid)).toEqual(['b', 'c']);
    expect(b.replica.proposers.tables[1].size).toBe(2);
  });
});

describe('registry and history', () => {
  it('the last word about a member or a node holds, until it is taken back', () => {
    const b = new Bench({ records: 2, recordBytes: 10, nameBytes: 4 });
    const register = (what: 'member' | 'node', id: string, value: string): string =>
      b.do({ kind: 'register', what, id, facts: [['zone', value]] }).kind;
    expect([register('member', 'm', 'a'), register('node', 'm', 'b'), register('node', 'n', 'c')]).toEqual([
      'done',
      'done',
      'full',
    ]);
    expect([register('node', 'm', 'c'), register('node', 'm', '1234567'), register('node', '12345', '')]).toEqual([
      'done',
      'too-large',
      'too-large',
    ]);
    expect(b.replica.registry.list('node')).toMatchObject([{ id: 'm', facts: [['zone', 'c']] }]);
    expect(b.do({ kind: 'unregister', what: 'node', id: 'm' })).toEqual({ kind: 'done' });
    expect(b.do({ kind: 'unregister', what: 'node', id: 'm' })).toEqual({ kind: 'absent', what: 'record' });
    expect(b.replica.registry.list('member')).toHaveLength(1);
  });

  it('the history keeps the newest events and their numbers', () => {
    const b = new Bench({ historyEvents: 3 });
    for (let i = 1; i <= 5; i++) b.do({ kind: 'note', topic: 't', subject: 's', text: String(i) });
    expect(b.replica.history.after(0).map((event) => [event.number, event.text])).toEqual([
      [3, '3'],
      [4, '4'],
      [5, '5'],
    ]);
    expect(b.replica.history.after(4).map((event) => event.number)).toEqual([5]);
    expect(replay(b.log, { historyEvents: 3 }).history.after(0)).toEqual(b.replica.history.after(0));
  });
});
