import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readBackup, writeBackup } from '../../../src/cluster/io/backup.ts';
import { JournalStore } from '../../../src/cluster/io/journal-store.ts';
import { markOldCopy } from '../../../src/cluster/io/stop-mark.ts';
import { backupOf, look, recover, restore } from '../../../src/cluster/io/stopped-member.ts';
import { promiseBytes } from '../../../src/cluster/member/disk-codec.ts';
import { isLegalStep, recordFault } from '../../../src/cluster/replica/pool-steps.ts';
import { snapshot } from '../../../src/cluster/replica/snapshot.ts';
import { change, poolRecord } from '../replica/pool-records.ts';
import { folder, removeFolders } from './folders.ts';
import { uid } from './hosts.ts';
import { Members } from './members.ts';

const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);
const wall = Date.now();

/** A member of a cluster of three that has stopped, with a lock that was held and so many keys. */
async function stopped(keys: number, snapshotEvery = 10_000): Promise<string> {
  const members = await Members.of(3);
  await Promise.all(members.seats.map((seat) => members.start(seat, { settings: { snapshotEvery } })));
  await members.led();
  const seat = members.leader!;
  const coordinator = members.coordinator(seat);
  for (let i = 0; i < keys; i++) expect((await coordinator.kv.set(`k${i}`, bytes(`v${i}`))).ok).toBe(true);
  expect((await coordinator.propose(change(poolRecord({ epoch: 7 })))).ok).toBe(true);
  expect((await coordinator.lock.acquire('job', { owner: 'me', ttlMs: 60_000 })).ok).toBe(true);
  await members.close();
  return seat.path;
}

const held = <T, E>(result: { ok: true; value: T } | { ok: false; error: E }): T => {
  if (!result.ok) throw new Error(String(result.error));
  return result.value;
};

afterEach(removeFolders);

describe('a stopped member', () => {
  it('shows where its log ends, and all that it holds', async () => {
    const path = await stopped(7);
    const found = held(look(path));
    expect(found.config.voters).toHaveLength(3);
    expect(found.config.voters).toContain(found.uid);
    expect(found.state.kv.size).toBe(7);
    expect(found.state.locks.get('job')?.holder?.owner).toBe('me');
    expect(found.last.index).toBeGreaterThan(7);
    expect(found.certain).toBe(0);
    // Looking changes nothing but the number of its run.
    expect(held(look(path)).state.hash()).toEqual(found.state.hash());
  });

  it.each([10_000, 5])('is recovered with all of its log, a snapshot every %i entries', async (snapshotEvery) => {
    const path = await stopped(12, snapshotEvery);
    const before = held(look(path));
    if (snapshotEvery === 5) expect(before.certain).toBeGreaterThan(0);
    const after = held(recover(path, wall));
    expect(after.cluster).not.toBe(before.cluster);
    const found = held(look(path));
    expect(found).toMatchObject({ uid: before.uid, cluster: after.cluster, config: { voters: [before.uid] } });
    expect(found.last).toEqual({ index: before.last.index + 1, term: before.last.term + 1 });
    expect(found.state.hash()).toEqual(after.state.hash());
    for (let i = 0; i < 12; i++) expect(found.state.kv.get(`k${i}`)).toEqual(before.state.kv.get(`k${i}`));
    expect(found.state.locks.get('job')).toEqual(before.state.locks.get('job'));
  });

  it('gives out nothing again that a lost member may have given out since', async () => {
    const path = await stopped(2);
    const before = held(look(path)).state;
    const hourLater = wall + 3_600_000;
    const { state } = held(recover(path, hourLater));
    const floor = Math.floor(hourLater / 1000) * 2 ** 20;
    expect(before.tokens.value).toBeLessThan(floor);
    expect(state.tokens.value).toBeGreaterThanOrEqual(floor);
    expect(state.kv.revision.value).toBeGreaterThanOrEqual(floor);
    expect(before.pools.get('app')).toMatchObject({ epoch: 7, step: 1 });
    expect(state.pools.get('app')).toMatchObject({ epoch: 1007, step: 2, phase: 'open' });
    // A wall clock that was set back takes nothing away.
    const again = held(recover(path, wall - 3_600_000)).state;
    expect(again.tokens.value).toBeGreaterThanOrEqual(state.tokens.value);
    expect(again.kv.revision.value).toBeGreaterThanOrEqual(state.kv.revision.value);
  });

  it('that was found out to be an old copy is not recovered, but a backup of it can be taken', async () => {
    const path = await stopped(1);
    markOldCopy(path, 'a later run was seen');
    expect(recover(path, wall)).toEqual({ ok: false, error: expect.stringContaining('take a backup of it') });
    expect(look(path).ok).toBe(true);
  });

  it('without a cluster, or without anything, is refused with the reason', () => {
    const empty = folder();
    expect(look(empty)).toEqual({ ok: false, error: expect.stringContaining("no member's state") });
    expect(recover(empty, wall)).toEqual({ ok: false, error: expect.stringContaining("no member's state") });
    JournalStore.open(empty).close();
    expect(recover(empty, wall)).toEqual({ ok: false, error: expect.stringContaining('belongs to no cluster yet') });
  });

  it('is not touched while its folder is in use', async () => {
    const path = await stopped(1);
    const holder = JournalStore.open(path);
    try {
      for (const refused of [look(path), recover(path, wall)])
        expect(refused).toEqual({ ok: false, error: expect.stringContaining('in use by another process') });
    } finally {
      holder.close();
    }
    expect(held(look(path)).state.kv.size).toBe(1);
  });
});

describe('a backup', () => {
  it('is put into an empty folder, as the only member of a new cluster', async () => {
    const from = held(look(await stopped(9)));
    const file = `${folder()}.backup`;
    writeBackup(file, backupOf(from, new Date(wall).toISOString()));
    const backup = held(readBackup(file));
    const path = folder();
    const begun = held(restore(path, { backup, wall }));
    const found = held(look(path));
    expect(found.uid).toBe(begun.uid);
    expect(found.uid).not.toBe(from.uid);
    expect(found.cluster).not.toBe(from.cluster);
    expect(found.config).toEqual({ voters: [begun.uid], learners: [] });
    for (let i = 0; i < 9; i++) expect(found.state.kv.get(`k${i}`)).toEqual(from.state.kv.get(`k${i}`));
    expect(restore(path, { backup, wall })).toEqual({
      ok: false,
      error: expect.stringContaining("holds a member's state already"),
    });
  });

  it('leaves it to an operator who is primary: another node may be it since', async () => {
    const from = held(look(await stopped(1)));
    expect(from.state.pools.get('app')).toMatchObject({ phase: 'open', epoch: 7 });
    const path = folder();
    held(restore(path, { backup: backupOf(from, ''), wall }));
    const record = held(look(path)).state.pools.get('app')!;
    const was = from.state.pools.get('app')!.target;
    expect(record).toMatchObject({ phase: 'undecided', target: null, epoch: 1007, last: { epoch: 7, target: was } });
    expect(recordFault(record)).toBeNull();
    const adopted = { ...record, step: record.step + 1, epoch: 1008, phase: 'pending', target: was } as const;
    expect(isLegalStep(record, adopted)).toBe(true);
  });

  it('is not put into the folder of a member that promised itself to others', async () => {
    const backup = backupOf(held(look(await stopped(1))), '');
    const path = folder();
    const store = JournalStore.open(path);
    const promise = promiseBytes({ set: '0'.repeat(32), voters: [{ address: '127.0.0.1:1', id: uid(1) }] });
    store.commit([{ ticket: 1, facts: { promise } }]);
    store.close();
    const refused = restore(path, { backup, wall });
    expect(refused).toEqual({ ok: false, error: expect.stringContaining('empty folder only') });
  });

  it('with any byte changed or any end cut off is refused, and leaves the folder empty', async () => {
    const from = held(look(await stopped(3)));
    const file = `${folder()}.backup`;
    writeBackup(file, backupOf(from, ''));
    const whole = readFileSync(file);
    for (let at = 0; at < whole.length; at += 7) {
      const damaged = Buffer.from(whole);
      damaged[at] = damaged[at]! ^ 0x10;
      writeFileSync(file, damaged);
      expect(readBackup(file).ok).toBe(false);
      writeFileSync(file, whole.subarray(0, at));
      expect(readBackup(file).ok).toBe(false);
    }
    // Whole, but no state.
    const path = folder();
    const backup = { ...backupOf(from, ''), bytes: snapshot(from.state).subarray(1) };
    expect(restore(path, { backup, wall })).toEqual({ ok: false, error: expect.stringContaining("can't be used") });
    expect(readBackup(join(path, 'none')).ok).toBe(false);
  });
});
