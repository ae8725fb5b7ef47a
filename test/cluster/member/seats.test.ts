import { describe, expect, it } from 'vitest';
import { Lab, textAt } from './lab.ts';

function formed(count = 3): Lab {
  const lab = Lab.of(count);
  lab.start();
  lab.form();
  return lab;
}

const voters = (lab: Lab): number => lab.leader!.up.status().raft!.config.voters.length;

describe('7.3 who votes', () => {
  it('neither a crash nor gossip nor a stop for a while changes it', () => {
    const lab = formed();
    const [one, two] = lab.followers();
    lab.crash(one!.name);
    lab.run(60_000);
    expect(voters(lab)).toBe(3);
    lab.start(one!.name);
    lab.form(15_000);
    expect(lab.answer(two!.name, { kind: 'leave', forGood: false }, 15_000)).toMatchObject({ ok: true });
    expect(two!.effects).toContainEqual({ kind: 'departed' });
    lab.crash(two!.name);
    lab.run(10_000);
    expect(voters(lab)).toBe(3);
  });

  it('a leader that stops for a while hands leadership on first', () => {
    const lab = formed();
    const leader = lab.leader!;
    expect(lab.answer(leader.name, { kind: 'leave', forGood: false }, 15_000)).toMatchObject({ ok: true });
    lab.crash(leader.name);
    expect(lab.run(300, () => lab.leader !== null)).toBe(true);
  });

  it('who is removed stops, says so, and does not come back by itself; under a new uid it does', () => {
    const lab = formed();
    const [follower, other] = lab.followers();
    const remove = { kind: 'change', change: 'remove', member: follower!.name } as const;
    expect(lab.answer(other!.name, remove)).toMatchObject({ ok: true });
    expect(voters(lab)).toBe(2);
    expect(lab.run(20_000, () => follower!.up.status().phase === 'stopped')).toBe(true);
    expect(follower!.up.status().stop).toMatchObject({ reason: 'removed' });
    lab.crash(follower!.name);
    lab.start(follower!.name);
    lab.run(20_000);
    expect(voters(lab)).toBe(2);
    lab.loseDisk(follower!.name);
    lab.start(follower!.name);
    expect(lab.run(60_000, () => voters(lab) === 3)).toBe(true);
    lab.form(10_000);
  });

  it('leave: who asks again, meanwhile or later, is answered too; for good it is too late then', () => {
    const lab = formed();
    const leader = lab.leader!;
    const [one, two] = lab.followers();
    const leave = { kind: 'leave', forGood: false } as const;
    const first = lab.call(one!.name, leave);
    const second = lab.call(one!.name, leave);
    const forGood = lab.call(one!.name, { ...leave, forGood: true });
    expect(lab.run(15_000, () => one!.answers.has(first) && one!.answers.has(second))).toBe(true);
    expect(one!.answers.get(forGood)).toEqual({ ok: false, error: { kind: 'closed' } });
    expect(lab.answer(one!.name, leave)).toMatchObject({ ok: true });
    expect(lab.answer(one!.name, { ...leave, forGood: true })).toEqual({ ok: false, error: { kind: 'closed' } });
    expect(leader.up.status().raft!.config.voters).toContain(one!.disk.uid);
    // For good: the second one waits for the same end.
    const out = [1, 2].map(() => lab.call(two!.name, { ...leave, forGood: true }));
    lab.start(one!.name);
    expect(lab.run(15_000, () => out.every((call) => two!.answers.get(call)?.ok === true))).toBe(true);
    expect(lab.answer(two!.name, { ...leave, forGood: true })).toMatchObject({ ok: true });
  });

  it('leave: out of the voters, then out of gossip; the last voter can’t', () => {
    const lab = formed();
    const [follower] = lab.followers();
    expect(lab.answer(follower!.name, { kind: 'leave', forGood: true }, 15_000)).toMatchObject({ ok: true });
    expect(voters(lab)).toBe(2);
    expect(lab.run(2000, () => lab.leader!.up.status().missing.length === 0)).toBe(true);
    expect(lab.set(lab.leader!.name, 'k', 'v')).toMatchObject({ ok: true });
  });

  it('the leader itself can leave for good', () => {
    const lab = formed();
    lab.set('a', 'k', 'v');
    const leader = lab.leader!;
    expect(lab.answer(leader.name, { kind: 'leave', forGood: true }, 15_000)).toMatchObject({ ok: true });
    lab.crash(leader.name);
    expect(lab.run(5000, () => lab.leader !== null)).toBe(true);
    expect(voters(lab)).toBe(2);
    expect(textAt(lab.leader!, 'k')).toBe('v');
  });

  it('a change that the new quorum could not commit now is refused', () => {
    const lab = formed();
    const [one, two] = lab.followers();
    lab.crash(one!.name);
    lab.run(2000);
    expect(lab.answer(lab.leader!.name, { kind: 'change', change: 'remove', member: two!.name })).toEqual({
      ok: false,
      error: { kind: 'change-refused', why: 'no-quorum-after' },
    });
    expect(lab.answer(lab.leader!.name, { kind: 'change', change: 'remove', member: 'nobody' })).toEqual({
      ok: false,
      error: { kind: 'change-refused', why: 'no-such-member' },
    });
  });

  it('leadership moves to the highest priority by itself, while no room above forbids it', () => {
    const led = (allowed: boolean | null): { readonly lab: Lab; readonly moves: boolean } => {
      const lab = Lab.of(3);
      const metadata = { version: '1', priority: 200, witness: false, admin: '', zone: '' };
      lab.host('c').options = { ...lab.host('c').options, metadata };
      lab.start();
      lab.form();
      if (allowed !== null) for (const { name } of lab.running) lab.step(name, { kind: 'mayMove', allowed });
      expect(lab.leader!.name).not.toBe('c');
      return { lab, moves: lab.run(60_000, () => lab.leader?.name === 'c') };
    };
    expect(led(null).moves).toBe(true);
    const { lab, moves } = led(false);
    expect(moves).toBe(false);
    for (const { name } of lab.running) lab.step(name, { kind: 'mayMove', allowed: true });
    expect(lab.run(1000, () => lab.leader?.name === 'c')).toBe(true);
  });

  it('a learner that does not catch up keeps no other from the seat', () => {
    const lab = formed();
    const leader = lab.leader!;
    const [one] = lab.followers();
    const { name } = leader;
    lab.add('d', { expect: 3, seeds: ['a', 'b'] });
    lab.start('d');
    const seats = () => leader.up.status().raft!.config;
    expect(lab.run(5000, () => seats().learners.length === 1)).toBe(true);
    // It lives, as far as the others see, and the leader hears nothing of it.
    lab.cut.add(`d>${name}`);
    lab.add('e', { expect: 3, seeds: ['a', 'b'] });
    lab.start('e');
    expect(lab.run(5000, () => seats().learners.length === 2)).toBe(true);
    lab.run(2000);
    expect(lab.answer(name, { kind: 'change', change: 'remove', member: one!.name })).toMatchObject({ ok: true });
    expect(lab.run(20_000, () => seats().voters.includes(lab.host('e').disk.uid))).toBe(true);
    expect(seats().learners).toEqual([lab.host('d').disk.uid]);
  });

  it('remove means the lost one of a name, not who came in its place', () => {
    const lab = formed();
    const leader = lab.leader!;
    const [one] = lab.followers();
    const lost = one!.disk.uid;
    lab.loseDisk(one!.name);
    const seats = () => leader.up.status().raft!.config;
    lab.start(one!.name);
    expect(lab.run(90_000, () => seats().learners.length === 1)).toBe(true);
    // Somebody clears away what is shown as unreachable, just as its seat is being taken: asked again it is gone already.
    const remove = { kind: 'change', change: 'remove', member: one!.name } as const;
    expect(seats().voters).toContain(lost);
    const answer = lab.answer(leader.name, remove);
    if (!answer.ok) expect(answer.error).toEqual({ kind: 'change-refused', why: 'no-such-member' });
    expect(lab.run(20_000, () => seats().voters.includes(one!.disk.uid))).toBe(true);
    expect(seats().voters).not.toContain(lost);
  });

  it('leadership is handed over when asked', () => {
    const lab = formed();
    const [one, two] = lab.followers();
    expect(lab.answer(one!.name, { kind: 'transfer', to: two!.name })).toMatchObject({ ok: true });
    expect(lab.run(2000, () => lab.leader === two)).toBe(true);
  });

  it('leadership that nobody could take over stays, and the answer says so', () => {
    const lab = formed();
    const leader = lab.leader!;
    expect(lab.answer(leader.name, { kind: 'transfer', to: leader.name })).toMatchObject({ ok: true });
    expect(lab.answer(leader.name, { kind: 'transfer', to: 'nobody' })).toMatchObject({
      error: { why: 'no-such-member' },
    });
    const alone = new Lab();
    alone.add('a', { expect: 0, seeds: [] });
    alone.start();
    alone.form();
    expect(alone.answer('a', { kind: 'transfer', to: null })).toEqual({
      ok: false,
      error: { kind: 'change-refused', why: 'change-void' },
    });
  });
});

describe('what is shown', () => {
  it('each member’s state and the cluster’s, with the reason', () => {
    const lab = formed();
    const leader = lab.leader!;
    const [one, two] = lab.followers();
    const shown = (of: string): string | undefined => leader.up.status().members.find(({ name }) => name === of)?.state;
    expect([shown(leader.name), shown(one!.name)]).toEqual(['LEADER', 'ACTIVE']);
    lab.crash(one!.name);
    expect(lab.run(30_000, () => shown(one!.name) === 'UNREACHABLE')).toBe(true);
    expect(leader.up.status()).toMatchObject({ state: 'DEGRADED', reason: `not reached: ${one!.name}` });
    lab.crash(two!.name);
    expect(lab.run(30_000, () => !leader.up.status().quorum)).toBe(true);
    expect(leader.up.status().reason).toContain('no leader with a quorum');
  });

  it('a member that was cut off names whom it lacks long before gossip gives them up', () => {
    const lab = formed();
    const [one, two] = lab.followers();
    const others = [lab.leader!.name, two!.name].sort();
    lab.isolate(one!.name);
    const missing = (): readonly string[] => [...one!.up.status().missing].sort();
    expect(lab.run(7000, () => missing().length === 2)).toBe(true);
    expect(missing()).toEqual(others);
    expect(one!.up.status().members.filter(({ state }) => state === 'UNREACHABLE')).toEqual([]);
  });

  it('who lags, in entries and seconds', () => {
    const lab = formed();
    const leader = lab.leader!;
    const [one] = lab.followers();
    lab.part(leader.name, one!.name);
    for (let i = 0; i < 10; i++) lab.set(leader.name, 'k', `${i}`);
    lab.run(600);
    const line = leader.up.status().members.find(({ name }) => name === one!.name);
    expect(line?.lag?.entries).toBeGreaterThanOrEqual(10);
    expect(line?.lag?.seconds).toBeGreaterThan(0.5);
  });

  it('a snapshot brings a member that was away far too long, and the log stays short', () => {
    const lab = Lab.of(3, { settings: { snapshotEvery: 50 }, raft: { keepEntries: 10 } });
    lab.start();
    lab.form();
    const [one] = lab.followers();
    lab.crash(one!.name);
    for (let i = 0; i < 200; i++) lab.set(lab.leader!.name, `k${i}`, 'v');
    expect(lab.leader!.disk.entries.length).toBeLessThan(120);
    lab.start(one!.name);
    expect(lab.run(15_000, () => textAt(one!, 'k199') === 'v')).toBe(true);
    expect(textAt(one!, 'k0')).toBe('v');
    expect(one!.replaced).toBeGreaterThan(0);
    lab.crash('a', 'b', 'c');
    lab.start();
    const isThere = (): boolean => lab.running.every((host) => textAt(host, 'k199') === 'v');
    expect(lab.run(10_000, isThere)).toBe(true);
  });
});
