import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import type { CallAnswer, MemberOptions, MemberPersist } from '../../../src/cluster/member/contract.ts';
import { Member } from '../../../src/cluster/member/member.ts';
import { emptyDisk, proofs, set } from './lab.ts';

/** A cluster of one whose disk takes for ever to write snapshots, and reports all else at once. */
class Alone {
  readonly member: Member;
  readonly jobs: MemberPersist[] = [];
  readonly answers = new Map<number, CallAnswer['answer']>();
  #now = 1000;

  constructor(over: Partial<MemberOptions> = {}) {
    const disk = { ...emptyDisk(1), boot: 1 };
    this.member = new Member(
      {
        ...{
          name: 'a',
          address: '10.0.0.1:7946',
          cluster: null,
          random: seededRandom(1),
          now: this.#now,
          wall: 1.7e12,
        },
        metadata: { version: '1', priority: 100, witness: false, admin: '', zone: '' },
        settings: { snapshotEvery: 10 },
        raft: { keepEntries: 5 },
        ...over,
      },
      { ...disk, proofOf: proofs(disk.uid) },
    );
  }

  run(ms: number): void {
    for (const end = this.#now + ms; this.#now < end; this.#now++) {
      const { persist, answers } = this.member.take();
      this.jobs.push(...persist);
      for (const { id, answer } of answers) this.answers.set(id, answer);
      for (const { snapshot, ticket } of persist)
        if (snapshot === null) this.member.step(this.#now, { kind: 'persisted', ticket });
      this.member.step(this.#now, { kind: 'tick' });
    }
  }

  write(id: number, value = 'v'): CallAnswer['answer'] | undefined {
    const command = set(`k${id % 50}`, value);
    this.member.step(this.#now, { kind: 'call', id, call: { kind: 'propose', command, consistency: 'quorum' } });
    this.run(20);
    return this.answers.get(id);
  }
}

describe('own snapshots', () => {
  it('keep nobody waiting: while the disk writes one, entries are acknowledged and leadership stays', () => {
    const alone = new Alone();
    alone.run(3000);
    expect(alone.member.status().raft?.role).toBe('leader');
    for (let id = 1; id <= 100; id++) expect(alone.write(id)).toMatchObject({ ok: true });
    const snapshots = alone.jobs.filter(({ snapshot }) => snapshot !== null);
    expect(snapshots.length).toBeGreaterThan(5);
    for (const { entries, hard, truncateFrom } of snapshots)
      expect({ entries, hard, truncateFrom }).toEqual({ entries: [], hard: null, truncateFrom: null });
    // Entries that a snapshot stands for go with it, not before.
    expect(alone.jobs.filter(({ compactTo, snapshot }) => compactTo !== null && snapshot === null)).toEqual([]);
    expect(snapshots.at(-1)!.compactTo).toBe(snapshots.at(-1)!.snapshot!.index - 5);
    alone.run(3000);
    expect(alone.member.status().raft).toMatchObject({ role: 'leader', term: 1 });
  });

  it('are taken by bytes too: the log stays small, however large its entries are', () => {
    const settings = { snapshotBytes: 500_000 };
    const alone = new Alone({ settings, raft: { keepBytes: 100_000 } });
    alone.run(3000);
    const value = 'x'.repeat(10_000);
    const kept = (): number => {
      const { lastIndex, firstIndex } = alone.member.status().raft!;
      return lastIndex - firstIndex + 1;
    };
    let most = 0;
    for (let id = 1; id <= 400; id++) {
      expect(alone.write(id, value)).toMatchObject({ ok: true });
      most = Math.max(most, kept());
    }
    // 500 000 bytes, or one snapshot of 50 such values, and what is kept before it.
    expect(most).toBeLessThanOrEqual(50 + 10 + 5);
    const snapshots = alone.jobs.filter(({ snapshot }) => snapshot !== null);
    expect(snapshots.length).toBeGreaterThanOrEqual(6);
    expect(snapshots.length).toBeLessThanOrEqual(9);
  });

  it('leave the entries before them that fit into what is kept', () => {
    const alone = new Alone({ settings: { snapshotEvery: 20 }, raft: { keepEntries: 10, keepBytes: 4000 } });
    alone.run(3000);
    for (let id = 1; id <= 30; id++) alone.write(id, 'x'.repeat(1000));
    const { snapshot, compactTo } = alone.jobs.findLast((job) => job.snapshot !== null)!;
    expect(compactTo).toBe(snapshot!.index - 3);
  });
});
