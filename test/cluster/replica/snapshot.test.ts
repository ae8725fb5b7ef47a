import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/cluster/replica/bytes.ts';
import { writeEntry } from '../../../src/cluster/replica/kv.ts';
import type { Replica } from '../../../src/cluster/replica/replica.ts';
import { Capture, restore, restoreSteps, snapshot } from '../../../src/cluster/replica/snapshot.ts';
import { story } from './arbitraries.ts';
import { Bench, bytes } from './bench.ts';
import { play } from './play.ts';
import { change, poolRecord } from './pool-records.ts';

function restored(raw: Uint8Array): Replica {
  const result = restore(raw);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function full(): Bench {
  const b = new Bench();
  const granted = b.do({ kind: 'grant', ttlMs: 100 });
  b.set('a', '1', { lease: granted.kind === 'granted' ? granted.lease : null });
  b.set('b', '2');
  b.acquire('l', 'ann', { ttlMs: 50, delayMs: 1000 });
  b.acquire('l', 'bob');
  b.do({ kind: 'register', what: 'node', id: 'n', facts: [['zone', 'x']] });
  b.do({ kind: 'note', topic: 't', subject: 's', text: 'é' });
  b.do(
    change(poolRecord({ hooks: [{ kind: 'demote', node: 'b', epoch: 1, until: 9, runner: 'u', outcome: 'done' }] })),
  );
  return b;
}

describe('snapshots', () => {
  it('bring back a state with the same hash, limits and position', () => {
    fc.assert(
      fc.property(story, (steps) => {
        const b = new Bench({ resultsPerProposer: 5, historyEvents: 3 });
        play(b, steps);
        const copy = restored(snapshot(b.replica));
        expect(copy.hash()).toEqual(b.replica.hash());
        expect(copy.limits).toEqual(b.replica.limits);
        expect([copy.index, copy.term, copy.now]).toEqual([b.replica.index, b.replica.term, b.replica.now]);
        expect(copy.nextExpiry()).toBe(b.replica.nextExpiry());
      }),
      { numRuns: 150 },
    );
  });

  it('a restored member goes on as the others do, to the same results and hash', () => {
    fc.assert(
      fc.property(story, story, (before, after) => {
        const b = new Bench({ resultsPerProposer: 5 });
        play(b, before);
        const copy = restored(snapshot(b.replica));
        const from = b.log.length;
        const expected = play(b, after);
        const got = b.log.slice(from).map((entry) => copy.apply(entry));
        expect(got.map((one) => one.result)).toEqual(expected.map((one) => one.result));
        expect(copy.hash()).toEqual(b.replica.hash());
      }),
      { numRuns: 200 },
    );
  });

  it('a restored state answers older watches with compacted, newer ones from then on', () => {
    const b = full();
    const copy = restored(snapshot(b.replica));
    const revision = copy.kv.revision.value;
    expect(copy.kv.since(revision - 1, '')).toEqual({ kind: 'compacted', floor: revision });
    expect(copy.kv.since(revision, '')).toEqual({ kind: 'changes', changes: [], upTo: revision });
  });

  it('a capture is not touched by what is applied after it, and its slices are the whole', () => {
    const b = full();
    for (let i = 0; i < 200; i++) b.set(`k${i}`, 'x'.repeat(100));
    const whole = snapshot(b.replica);
    const capture = new Capture(b.replica);
    const slices: Uint8Array[] = [];
    for (const slice of capture.slices(1000)) {
      slices.push(slice);
      b.set('a', String(slices.length));
      b.do({ kind: 'delete', key: `k${slices.length * 3}`, when: { kind: 'any' } });
      b.pass(10);
    }
    expect(slices.length).toBeGreaterThan(20);
    expect(Math.max(...slices.map((slice) => slice.length))).toBeLessThan(1200);
    expect(Buffer.concat(slices).equals(whole)).toBe(true);
  });

  it('restoring can pause between records', () => {
    const b = new Bench();
    for (let i = 0; i < 2000; i++) b.set(`k${i}`, '');
    const steps = restoreSteps(snapshot(b.replica));
    let pauses = 0;
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done === true) {
        expect(step.value.ok && step.value.value.hash()).toEqual(b.replica.hash());
        break;
      }
      pauses += 1;
    }
    expect(pauses).toBeGreaterThanOrEqual(4);
  });

  it('a bit that was flipped anywhere is found', () => {
    const raw = snapshot(full().replica);
    for (let place = 0; place < raw.length; place++) {
      const damaged = raw.slice();
      damaged[place] = damaged[place]! ^ (1 << (place % 8));
      expect(restore(damaged).ok, `byte ${place}`).toBe(false);
    }
  });

  it('one that was cut off, or has bytes behind, is refused', () => {
    const raw = snapshot(full().replica);
    for (let end = 0; end < raw.length; end++) expect(restore(raw.subarray(0, end)).ok).toBe(false);
    expect(restore(new Uint8Array([...raw, 0]))).toEqual({ ok: false, error: 'malformed' });
  });

  it('one that names a record twice is refused, though its hash is right', () => {
    const b = new Bench();
    b.set('a', '1');
    const raw = snapshot(b.replica);
    const to = new ByteWriter();
    writeEntry(to, b.replica.kv.get('a')!);
    const record = to.take();
    const at = 6 + raw[5]!;
    expect([raw[at], ...raw.subarray(at + 1, at + 1 + record.length)]).toEqual([1, ...record]);
    const twice = new Uint8Array([...raw.subarray(0, at), 2, ...record, ...raw.subarray(at + 1)]);
    expect(restore(twice)).toEqual({ ok: false, error: 'malformed' });
  });

  it('foreign bytes and newer versions are told apart', () => {
    expect(restore(bytes('hello'))).toEqual({ ok: false, error: 'not a snapshot' });
    const raw = snapshot(full().replica);
    raw[4] = 3;
    expect(restore(raw)).toEqual({ ok: false, error: 'of a version that is not known here' });
  });

  it('any bytes never throw', () => {
    const raw = snapshot(full().replica);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(raw.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        (changes) => {
          const damaged = raw.slice();
          for (const [place, byte] of changes) damaged[place] = byte;
          const result = restore(damaged);
          expect(result.ok).toBe(Buffer.compare(damaged, raw) === 0);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
