import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import type { CallAnswer, MemberPersist } from '../../../src/cluster/member/contract.ts';
import { Member } from '../../../src/cluster/member/member.ts';
import { emptyDisk, proofs, set } from './lab.ts';

/** A cluster of one whose disk takes for ever to write snapshots, and reports all else at once. */
class Alone {
  readonly member: Member;
  readonly jobs: MemberPersist[] = [];
  readonly answers = new Map<number, CallAnswer['answer']>();
  #now = 1000;

  constructor() {
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

  write(id: number): CallAnswer['answer'] | undefined {
    const command = set(`k${id}`, 'v');
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
});
