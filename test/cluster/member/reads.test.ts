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
});
