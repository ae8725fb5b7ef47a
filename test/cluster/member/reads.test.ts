import { describe, expect, it } from 'vitest';
import { Lab } from './lab.ts';

describe('8.1 reads', () => {
  it('are not called current by a leader that has not applied what others acknowledged', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const leader = lab.leader!;
    const [follower] = lab.followers();
    const leased = { kind: 'read', need: 'leased' } as const;
    expect(lab.answer(leader.name, leased)).toMatchObject({ value: { freshness: { kind: 'current' } } });
    leader.diskDelay = 900;
    const before = leader.up.replica.index;
    expect(lab.set(follower!.name, 'k', 'v')).toMatchObject({ ok: true });
    expect(leader.up.replica.index).toBe(before);
    expect(lab.answer(leader.name, leased)).toMatchObject({ value: { freshness: { kind: 'local' } } });
  });

  it('of a leader that stood still say how long, before it knows that it leads no more', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const member = lab.leader!.up;
    const local = { kind: 'call', id: 1_000_000, call: { kind: 'read', need: 'local' } } as const;
    member.take();
    // A process that was stopped: its clock is elsewhere, and the first thing that it reads is this.
    member.step(lab.now + 10_000, local);
    const [answer] = member.take().answers;
    expect(answer).toMatchObject({ answer: { value: { freshness: { kind: 'local' } } } });
    const { answer: read } = answer!;
    const freshness = read.ok && read.value.kind === 'fresh' ? read.value.freshness : null;
    expect(freshness?.kind === 'local' ? freshness.ageMs : 0).toBeGreaterThanOrEqual(9000);
  });

  it('of a member that hears its leader but lags behind it say how long it lags', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    lab.run(2000);
    const [follower] = lab.followers();
    follower!.diskDelay = 6000;
    expect(lab.set(lab.leader!.name, 'k', 'v')).toMatchObject({ ok: true });
    lab.run(3000);
    expect(follower!.up.replica.kv.get('k')).toBe(null);
    const read = lab.answer(follower!.name, { kind: 'read', need: 'local' });
    const freshness = read.ok && read.value.kind === 'fresh' ? read.value.freshness : null;
    expect(freshness?.kind === 'local' ? freshness.ageMs : 0).toBeGreaterThanOrEqual(2900);
  });
});
