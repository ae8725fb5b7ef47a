import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PoolRecord } from '../../../src/cluster/failover/model.ts';
import { decodeProposal, encodeProposal } from '../../../src/cluster/replica/codec.ts';
import type { Command } from '../../../src/cluster/replica/command.ts';
import { Hub } from '../../../src/cluster/replica/hub.ts';
import { afterLoss, forksMax, isLegalStep, lostEpochs, stepFault } from '../../../src/cluster/replica/pool-steps.ts';
import { faultOf } from '../../../src/cluster/replica/refusals.ts';
import { restore, snapshot } from '../../../src/cluster/replica/snapshot.ts';
import { Bench, replay } from './bench.ts';
import { anyRecord, change, next, poolRecord, recordOf, targetOf, tries } from './pool-records.ts';

const open = poolRecord();
const pending = next(open, { phase: 'pending', epoch: 2, target: targetOf('b'), reason: 'failover' });
const opened = next(pending, { phase: 'open' });
const failed = next(pending, { phase: 'failed' });
const undecided = poolRecord({ phase: 'undecided', epoch: 0, target: null });

describe('a change of a pool', () => {
  it('is taken if it follows what is known; its note is a line of the history, in the same entry', () => {
    const b = new Bench();
    expect(b.events(change(open, 'a is primary'))).toMatchObject([
      { kind: 'pool', record: open },
      { kind: 'noted', event: { topic: 'failover', subject: 'app', text: 'a is primary', at: b.now } },
    ]);
    expect(b.replica.pools.get('app')).toEqual(open);
    expect(b.replica.pools.openEpoch('app')).toBe(1);
    expect(b.events(change(pending))).toEqual([{ kind: 'pool', record: pending }]);
    expect(b.replica.pools.openEpoch('app')).toBeNull();
    expect(b.replica.history.last).toBe(1);
  });

  it('of two that were decided at once one loses, and is told the step that is known', () => {
    const b = new Bench();
    b.do(change(open));
    const other = next(open, { phase: 'pending', epoch: 2, target: targetOf('c') });
    expect(b.do(change(pending))).toEqual({ kind: 'done' });
    expect(b.apply(change(other, 'c is chosen'))).toEqual({ result: { kind: 'conflict', revision: 2 }, events: [] });
    expect(b.replica.history.last).toBe(0);
    expect(b.do(change(next(poolRecord({ pool: 'none' }))))).toEqual({ kind: 'conflict', revision: null });
  });

  it('that was proposed twice is applied once, and answered as before', () => {
    const b = new Bench();
    b.do(change(open), { number: 100 });
    b.do(change(pending), { number: 101 });
    expect(b.do(change(open), { number: 100 })).toEqual({ kind: 'done' });
    expect(b.replica.pools.get('app')).toEqual(pending);
  });

  it('is told to observers, and after a snapshot they are told all', () => {
    const b = new Bench();
    const [db, told] = [poolRecord({ pool: 'db' }), [] as unknown[]];
    const hub = new Hub();
    hub.observe((event) => event.kind === 'pool' && told.push(event.record));
    hub.tell(b.events(change(open)));
    b.do(change(db));
    b.do(change(pending));
    hub.replaced(b.replica);
    expect(told).toEqual([open, pending, db]);
  });

  it('is bounded: the record, the names, the note, the number of pools', () => {
    const b = new Bench({ pools: 2, poolRecordBytes: 500, nameBytes: 10, recordBytes: 20 });
    const long = next(open, { excluded: Array.from({ length: 100 }, (_, i) => `node-${i}`) });
    b.do(change(open));
    expect(b.do(change(long))).toMatchObject({ kind: 'too-large', what: 'record', max: 500 });
    expect(b.do(change(poolRecord({ pool: 'x'.repeat(11) })))).toMatchObject({ kind: 'too-large', what: 'name' });
    expect(b.do(change(next(open), 'x'.repeat(21)))).toMatchObject({ kind: 'too-large', what: 'record', max: 20 });
    expect(b.do(change(poolRecord({ pool: 'two' })))).toEqual({ kind: 'done' });
    expect(b.do(change(poolRecord({ pool: 'three' })))).toEqual({ kind: 'full', what: 'pools', max: 2 });
    expect(b.do(change(pending))).toEqual({ kind: 'done' });
  });
});

describe('3.1 which change may follow which', () => {
  const legal: readonly (readonly [string, PoolRecord | null, PoolRecord])[] = [
    ['the first epoch is open at once', null, open],
    ['the first epoch may be high: its nodes had one', null, poolRecord({ epoch: 9, reason: 'adopt' })],
    ['or is pending', null, poolRecord({ phase: 'pending' })],
    ['or is not decided', null, undecided],
    ['an operator adopts one', undecided, next(undecided, { phase: 'open', epoch: 1, target: targetOf('b') })],
    ['another is chosen', open, pending],
    ['it opens', pending, opened],
    ['it fails', pending, failed],
    ['a failed candidate: the next one', pending, next(pending, { epoch: 3, target: targetOf('c') })],
    [
      'back on the old one, as another epoch',
      failed,
      next(failed, { phase: 'pending', epoch: 3, target: open.target }),
    ],
    ['a step within', pending, next(pending, { times: { ...pending.times, fencedAt: 7 } })],
    ['no leases from now on', open, next(open, { unleased: true })],
    ['leases again in the epoch that opens', { ...pending, unleased: true }, opened],
    ['automatic off', open, next(open, { automatic: false })],
  ];
  it.each(legal)('%s', (_, before, after) => expect(stepFault(before, after)).toBeNull());

  const illegal: readonly (readonly [string, PoolRecord | null, PoolRecord])[] = [
    ['the same step again', open, { ...pending, step: 1 }],
    ['a step left out', open, { ...pending, step: 3 }],
    ['a first record of step 2', null, next(open)],
    ['an epoch that falls', opened, next(opened, { phase: 'pending', epoch: 1, target: targetOf('a') })],
    ['an epoch with another target', pending, next(pending, { target: targetOf('c') })],
    ['an epoch with another address', open, next(open, { target: { node: 'a', url: 'http://z' } })],
    ['an epoch that opens at once after an open one', open, next(open, { epoch: 2, target: targetOf('b') })],
    ['an open epoch that is left without a newer one', open, next(open, { phase: 'pending' })],
    ['an open epoch that fails', open, next(open, { phase: 'failed' })],
    ['a failed epoch that opens', failed, next(failed, { phase: 'open' })],
    ['an epoch that fails unseen', open, { ...failed, step: 2 }],
    ['undecided after an open epoch', open, next(open, { phase: 'undecided', epoch: 2, target: null })],
    ['an open epoch without a target', null, poolRecord({ target: null })],
    ['epoch 0 open', null, poolRecord({ epoch: 0 })],
    ['leases again in an epoch without', { ...open, unleased: true }, next(open)],
    ['leases again while it is pending', { ...open, unleased: true }, pending],
    ['a pool that begins as failed', null, poolRecord({ phase: 'failed' })],
    ['another pool', open, { ...pending, pool: 'db' }],
    ['a number that is not whole', open, next(open, { retryAt: 1.5 })],
    ['a name that is no text', open, next(open, { excluded: ['\ud800'] })],
    ['too many forks', open, next(open, { forks: Array.from({ length: 17 }, () => ({ epoch: 1, position: null })) })],
  ];
  it.each(illegal)('not: %s', (_, before, after) => expect(isLegalStep(before, after)).toBe(false));

  it('whatever is proposed: no epoch falls, has two targets, or is opened twice; each step comes once', () => {
    let taken = 0;
    fc.assert(
      fc.property(tries, (story) => {
        const b = new Bench();
        const targets = new Map<string, string>();
        const seen = new Map<string, PoolRecord>();
        const wasOpen = new Map<string, number>();
        for (const one of story) {
          const known = b.replica.pools.get(one.pool);
          const record = recordOf(one, known);
          const result = b.do(change(record));
          const now = b.replica.pools.get(one.pool);
          if (result.kind !== 'done') {
            expect(result).toEqual({ kind: 'conflict', revision: known?.step ?? null });
            expect(now).toEqual(known);
            continue;
          }
          taken += 1;
          const before = seen.get(one.pool);
          seen.set(one.pool, record);
          expect(now).toEqual(record);
          expect(record.step).toBe((before?.step ?? 0) + 1);
          expect(record.epoch).toBeGreaterThanOrEqual(before?.epoch ?? 0);
          const name = `${one.pool}/${record.epoch}`;
          const target = JSON.stringify(record.target);
          expect(targets.get(name) ?? target).toBe(target);
          targets.set(name, target);
          if (record.phase !== 'open') continue;
          // Opened once: it was not open before, or it still is.
          const last = wasOpen.get(one.pool) ?? 0;
          expect(record.epoch > last || before?.phase === 'open').toBe(true);
          if (last > 0 && record.epoch > last) expect(before?.phase).toBe('pending');
          wasOpen.set(one.pool, record.epoch);
        }
        expect(replay(b.log).hash()).toEqual(b.replica.hash());
        const copy = restore(snapshot(b.replica));
        expect(copy.ok && copy.value.hash()).toEqual(b.replica.hash());
        expect(copy.ok && copy.value.pools.list()).toEqual(b.replica.pools.list());
      }),
      { numRuns: 300 },
    );
    expect(taken).toBeGreaterThan(500);
  });

  it('any record, sensible or not, breaks nothing', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 10 }), (records) => {
        const b = new Bench();
        for (const record of records) expect(['done', 'conflict']).toContain(b.do(change(record)).kind);
        expect(restore(snapshot(b.replica)).ok).toBe(true);
      }),
    );
  });
});

describe('before anybody is asked', () => {
  it('what no state could take is named', () => {
    expect(faultOf(change(open), 'quorum')).toBeNull();
    expect(faultOf(change(open), 'eventual')).toEqual({ kind: 'not-eventual' });
    const refused: readonly (readonly [Partial<PoolRecord>, string])[] = [
      [{ retryAt: 0.5 }, 'record.retryAt is no whole number from 0 on'],
      [{ hooks: [{ ...hook, until: -1 }] }, 'record.hooks.0.until is no whole number from 0 on'],
      [{ target: null }, 'record.target does not go with phase open'],
      [{ pool: '' }, 'record.pool is empty'],
    ];
    for (const [more, what] of refused)
      expect(faultOf(change({ ...open, ...more }), 'quorum')).toEqual({ kind: 'invalid', what });
    expect(faultOf(change(open, '\ud800'), 'quorum')).toMatchObject({ kind: 'invalid' });
  });
});

const hook = { kind: 'promote', node: 'b', epoch: 2, until: 5, runner: 'u', outcome: 'running' } as const;

describe('versions', () => {
  const proposal = (command: Command) => ({ proposer: { uid: 'm', boot: 1, number: 1 }, at: 0, command });

  it('a change of a pool is of version 2; what was there before stays as older members read it', () => {
    const raw = encodeProposal(proposal(change(open)));
    expect(raw[0]).toBe(2);
    expect(encodeProposal(proposal({ kind: 'expire' }))[0]).toBe(1);
    raw[0] = 1;
    expect(decodeProposal(raw)).toEqual({ ok: false, error: 'malformed' });
    const old = encodeProposal(proposal({ kind: 'expire' }));
    old[0] = 2;
    expect(decodeProposal(old)).toEqual({ ok: false, error: 'malformed' });
  });

  it('a snapshot without pools is one that an older release reads, with the same hash', () => {
    const b = new Bench();
    b.set('k', 'v');
    expect(snapshot(b.replica)[4]).toBe(1);
    b.do(change(open));
    expect(snapshot(b.replica)[4]).toBe(2);
    const other = new Bench({ pools: 3 });
    const copy = restore(snapshot(other.replica));
    expect(copy.ok && copy.value.limits.pools).toBe(3);
  });
});

describe('7.4 after a loss of members', () => {
  it('all epochs go on above what the lost ones can have opened', () => {
    const b = new Bench();
    b.do(change(open));
    b.do(change(next(open, { forks: Array.from({ length: forksMax }, (_, i) => ({ epoch: i, position: i })) })));
    b.do(change(poolRecord({ pool: 'db', phase: 'pending', epoch: 7 })));
    b.do(change({ ...undecided, pool: 'x' }));
    const [app, db, x] = b.replica.pools.list();
    b.replica.pools.raiseEpochs();
    const pools = b.replica.pools.list();
    expect(pools.map(({ epoch }) => epoch)).toEqual([1001, 1007, 1000]);
    expect(pools.map(({ step }) => step)).toEqual([3, 2, 2]);
    expect(pools[0]).toMatchObject({ phase: 'open', target: app!.target });
    expect(pools[0]!.forks).toHaveLength(forksMax);
    expect(pools[0]!.forks.at(-1)).toEqual({ epoch: 1 + lostEpochs, position: null });
    expect(pools[1]).toEqual({ ...db!, step: 2, epoch: 1007 });
    expect(pools[2]).toEqual({ ...x!, step: 2, epoch: 1000 });
    const copy = restore(snapshot(b.replica));
    expect(copy.ok && copy.value.hash()).toEqual(b.replica.hash());
    // Whoever was adopted by the lost ones in epoch 1 is not met by another one of epoch 1 here.
    const adopt = next(pools[2]!, { phase: 'open', target: targetOf('a') });
    expect(b.do(change({ ...adopt, epoch: 1 }))).toMatchObject({ kind: 'conflict' });
    expect(b.do(change({ ...adopt, epoch: 1001 }))).toEqual({ kind: 'done' });
  });

  it('does not change what it is given', () => {
    const before = JSON.stringify(open);
    afterLoss(open);
    expect(JSON.stringify(open)).toBe(before);
  });
});
