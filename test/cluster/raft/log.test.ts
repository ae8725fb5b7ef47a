import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../../src/base/assert.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { RaftLog } from '../../../src/cluster/raft/log.ts';
import { memberId, newborn } from '../../../src/cluster/raft/model.ts';
import { Raft } from '../../../src/cluster/raft/raft.ts';
import { entriesOf, entryOf } from './solo.ts';

const indexes = (log: RaftLog): number[] => log.slice(log.firstIndex, 1e9).map(({ index }) => index);

describe('the log', () => {
  it('knows the term of its base, of its entries, and of nothing else', () => {
    const log = new RaftLog({ index: 4, term: 2 }, entriesOf([2, 3], 5));
    expect([3, 4, 5, 6, 7].map((index) => log.term(index))).toEqual([null, 2, 2, 3, null]);
    expect([log.firstIndex, log.lastIndex, log.lastTerm]).toEqual([5, 6, 3]);
  });

  it('hands each change to the disk once', () => {
    const log = new RaftLog({ index: 0, term: 0 }, []);
    log.append(entriesOf([1, 1, 1]));
    expect(log.takeChanges()).toMatchObject({
      truncateFrom: null,
      entries: [{ index: 1 }, { index: 2 }, { index: 3 }],
    });
    expect(log.changed).toBe(false);
    log.truncateFrom(2);
    log.append([entryOf(2, 2)]);
    expect(log.takeChanges()).toMatchObject({ truncateFrom: 2, entries: [{ index: 2, term: 2 }] });
    log.compactTo(1);
    expect(log.takeChanges()).toEqual({ truncateFrom: null, compactTo: 1, entries: [] });
  });

  it('tells the disk nothing of entries that it never handed out', () => {
    const log = new RaftLog({ index: 0, term: 0 }, []);
    log.append(entriesOf([1, 1, 1]));
    log.truncateFrom(2);
    expect(log.takeChanges()).toMatchObject({ truncateFrom: null, entries: [{ index: 1 }] });
  });

  it('remembers the lowest of several truncations', () => {
    const log = new RaftLog({ index: 0, term: 0 }, entriesOf([1, 1, 1, 1]));
    log.truncateFrom(2);
    log.append([entryOf(2, 2), entryOf(3, 2)]);
    log.truncateFrom(3);
    expect(log.takeChanges()).toMatchObject({ truncateFrom: 2, entries: [{ index: 2, term: 2 }] });
  });

  it('is replaced as a whole by a snapshot', () => {
    const log = new RaftLog({ index: 0, term: 0 }, entriesOf([1, 1]));
    log.reset({ index: 9, term: 4 });
    log.append([entryOf(10, 4)]);
    expect(indexes(log)).toEqual([10]);
    expect(log.takeChanges()).toMatchObject({ truncateFrom: 1, compactTo: null, entries: [{ index: 10 }] });
  });

  it('slices by bytes, but gives at least one entry', () => {
    const log = new RaftLog({ index: 0, term: 0 }, entriesOf([1, 1, 1]));
    expect(log.slice(1, 1)).toHaveLength(1);
    expect(log.slice(1, 80)).toHaveLength(2);
    expect(log.slice(4, 80)).toHaveLength(0);
  });

  it('finds the last entry of a term that is not above another', () => {
    const log = new RaftLog({ index: 0, term: 0 }, entriesOf([1, 1, 3, 3, 5]));
    expect(
      [
        [9, 9],
        [5, 4],
        [4, 3],
        [4, 2],
        [2, 0],
      ].map(([i, t]) => log.lastNotAbove(i!, t!)),
    ).toEqual([5, 4, 4, 2, 0]);
  });

  it('asserts what only a bug of ours could do', () => {
    const log = new RaftLog({ index: 2, term: 1 }, []);
    expect(() => log.append([entryOf(5, 1)])).toThrow(AssertionError);
    expect(() => log.truncateFrom(2)).toThrow(AssertionError);
    expect(() => log.slice(2, 1)).toThrow(AssertionError);
    expect(() => new RaftLog({ index: 0, term: 0 }, [entryOf(2, 1)])).toThrow(AssertionError);
  });
});

describe('what the journal gives back', () => {
  const open = (restored: Partial<ReturnType<typeof newborn>>): Raft => {
    const options = { id: memberId('a'), boot: 1, now: 0, random: seededRandom(1) };
    return new Raft(options, { ...newborn([memberId('a')]), ...restored });
  };
  const snapshot = { ...newborn([memberId('a')]).snapshot, index: 3, term: 1 };
  const hard = { term: 1, vote: null };

  it('may begin before the snapshot ends, directly behind it, or be nothing', () => {
    expect(open({ hard, snapshot, entries: entriesOf([1, 1, 1, 1, 1]) }).status()).toMatchObject({
      firstIndex: 2,
      lastIndex: 5,
    });
    expect(open({ hard, snapshot, entries: entriesOf([1], 4) }).status()).toMatchObject({
      firstIndex: 4,
      lastIndex: 4,
    });
    expect(open({ hard, snapshot, entries: [] }).status()).toMatchObject({ firstIndex: 4, lastIndex: 3, lastTerm: 1 });
  });

  it('with a hole, or with entries of a later term than its own, it must not start', () => {
    expect(() => open({ hard, snapshot, entries: entriesOf([1], 6) })).toThrow(AssertionError);
    expect(() => open({ hard, entries: entriesOf([2]) })).toThrow(AssertionError);
  });
});
