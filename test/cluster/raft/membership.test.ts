import { describe, expect, it } from 'vitest';
import type { Change } from '../../../src/cluster/raft/contract.ts';
import { memberId } from '../../../src/cluster/raft/model.ts';
import { Lab, type Machine } from './lab.ts';
import { Solo } from './solo.ts';

function started(options: Partial<ConstructorParameters<typeof Lab>[0]> = {}): { lab: Lab; leader: Machine } {
  const lab = new Lab({ voters: ['a', 'b', 'c'], spare: ['d', 'e'], ...options });
  expect(lab.run(8000, () => lab.leaders[0]?.raft?.status().ready ?? false)).toBe(true);
  lab.run(1000);
  return { lab, leader: lab.leaders[0]! };
}

function change(
  lab: Lab,
  leader: Machine,
  kind: Change['kind'],
  member: string,
  more: { old?: string; force?: boolean } = {},
): string {
  const id = 1000 + leader.changes.length;
  const wish = {
    kind,
    member: memberId(member),
    ...(more.old === undefined ? {} : { old: memberId(more.old) }),
  } as Change;
  lab.step(leader.id, { kind: 'change', id, change: wish, force: more.force ?? false });
  lab.run(100, () => leader.changes.some((answer) => answer.id === id));
  const outcome = leader.changes.find((answer) => answer.id === id)?.outcome;
  return outcome?.kind === 'refused' ? outcome.why : (outcome?.kind ?? 'open');
}

const configOf = (machine: Machine): string => {
  const { voters, learners } = machine.raft!.status().config;
  return `${[...voters].sort().join('')}|${learners.join('')}`;
};

describe('changes of who belongs', () => {
  it('every member tells when its configuration changes, also one that only follows', () => {
    const { lab, leader } = started();
    change(lab, leader, 'add', 'd');
    lab.run(500);
    for (const machine of lab.live.filter(({ id }) => id !== 'e')) {
      const told = machine.events.filter((event) => event.kind === 'config');
      expect(told.map(({ config }) => config.learners)).toEqual([['d']]);
    }
  });

  it('a newcomer becomes a learner, gets the log, and then a voter', () => {
    const { lab, leader } = started();
    lab.step(leader.id, { kind: 'propose', id: 1, data: new Uint8Array(9) });
    expect(change(lab, leader, 'add', 'd')).toBe('committed');
    expect(configOf(leader)).toBe('abc|d');
    lab.run(500);
    expect(lab.machine('d').applied).toBe(leader.applied);
    expect(change(lab, leader, 'promote', 'd')).toBe('committed');
    lab.run(100);
    expect(lab.live.filter(({ id }) => id !== 'e').map(configOf)).toEqual(Array(4).fill('abcd|'));
  });

  it('a learner counts for nothing: with two of three voters gone nothing is committed', () => {
    const { lab, leader } = started();
    change(lab, leader, 'add', 'd');
    for (const { id } of lab.live) if (id !== leader.id && id !== 'd' && id !== 'e') lab.crash(id);
    lab.step(leader.id, { kind: 'propose', id: 1, data: new Uint8Array(9) });
    lab.run(500);
    expect(leader.answers).toEqual([]);
    lab.run(3000);
    expect(lab.leaders).toEqual([]);
  });

  it('refuses a learner that has not caught up, unless forced', () => {
    const { lab, leader } = started({ raft: { caughtUpEntries: 5 } });
    change(lab, leader, 'add', 'd');
    lab.isolate('d');
    for (let id = 0; id < 20; id++) lab.step(leader.id, { kind: 'propose', id, data: new Uint8Array(1) });
    lab.run(100);
    expect(change(lab, leader, 'promote', 'd')).toBe('not-caught-up');
    expect(change(lab, leader, 'promote', 'd', { force: true })).toBe('committed');
  });

  it('refuses what the new quorum could not commit now, unless forced', () => {
    const { lab, leader } = started();
    const [gone, other] = lab.live.filter(({ id }) => id !== leader.id && 'abc'.includes(id));
    lab.crash(gone!.id);
    lab.run(1500);
    expect(change(lab, leader, 'remove', other!.id)).toBe('no-quorum-after');
    expect(change(lab, leader, 'remove', gone!.id)).toBe('committed');
  });

  it('refuses a second change while one runs', () => {
    const { lab, leader } = started({ delay: [30, 30] });
    expect(change(lab, leader, 'add', 'd')).toBe('committed');
    lab.step(leader.id, { kind: 'change', id: 1, change: { kind: 'add', member: memberId('e') } });
    lab.step(leader.id, { kind: 'change', id: 2, change: { kind: 'remove', member: memberId('d') }, force: true });
    expect(leader.changes.at(-1)).toMatchObject({ id: 2, outcome: { kind: 'refused', why: 'change-pending' } });
  });

  it('refuses any before an entry of its own term is committed', () => {
    const solo = new Solo({ terms: [1] });
    solo.lead();
    const out = solo.step({ kind: 'change', id: 1, change: { kind: 'add', member: memberId('d') }, force: true });
    expect(out.changes).toMatchObject([{ id: 1, outcome: { kind: 'refused', why: 'change-pending' } }]);
  });

  it('refuses what is so already, and what leaves no voter', () => {
    const { lab, leader } = started({ voters: ['a'] });
    expect(change(lab, leader, 'add', 'a')).toBe('change-void');
    expect(change(lab, leader, 'promote', 'd')).toBe('change-void');
    expect(change(lab, leader, 'remove', 'd')).toBe('change-void');
    expect(change(lab, leader, 'remove', 'a', { force: true })).toBe('change-void');
    expect(change(lab, leader, 'demote', 'a', { force: true })).toBe('change-void');
  });

  it('one grows to three, and shrinks to one again, each by single steps', () => {
    const { lab, leader } = started({ voters: ['a'], spare: ['b', 'c'] });
    for (const id of ['b', 'c']) {
      expect(change(lab, leader, 'add', id)).toBe('committed');
      lab.run(500);
      expect(change(lab, leader, 'promote', id)).toBe('committed');
    }
    lab.run(500);
    for (const id of ['b', 'c']) expect(change(lab, leader, 'remove', id)).toBe('committed');
    expect(configOf(leader)).toBe('a|');
  });

  it('a leader that is removed leads until that is committed, then another does', () => {
    const { lab, leader } = started();
    expect(change(lab, leader, 'remove', leader.id)).toBe('committed');
    expect(leader.raft!.status().role).toBe('follower');
    expect(lab.run(200, () => lab.leaders.length === 1)).toBe(true);
    lab.run(20_000);
    expect(lab.leaders).toHaveLength(1);
    expect(lab.leaders[0]).not.toBe(leader);
    expect(leader.events.filter(({ kind }) => kind === 'standing').length).toBeLessThanOrEqual(1);
  });

  it('a lost voter is replaced by one proposal, in two steps', () => {
    const { lab, leader } = started();
    const lost = lab.live.find(({ id }) => id !== leader.id && 'abc'.includes(id))!;
    change(lab, leader, 'add', 'd');
    lab.run(300);
    lab.crash(lost.id);
    expect(change(lab, leader, 'replace', 'd', { old: lost.id })).toBe('committed');
    const expected = ['a', 'b', 'c', 'd'].filter((id) => id !== lost.id).join('');
    expect(configOf(leader)).toBe(`${expected}|`);
  });

  it('a configuration that is cut off with its entry does not count any more', () => {
    const { lab, leader } = started();
    lab.isolate(leader.id);
    lab.step(leader.id, { kind: 'change', id: 1, change: { kind: 'add', member: memberId('d') } });
    expect(configOf(leader)).toBe('abc|d');
    lab.run(4000);
    lab.heal();
    lab.run(2000);
    expect(configOf(leader)).toBe('abc|');
    expect(leader.changes.at(-1)).toMatchObject({ id: 1, outcome: { kind: 'unknown' } });
  });

  it('one that is being left out, and alone has the entry that says so, still stands and ends it', () => {
    const { lab, leader } = started({ voters: ['a', 'b'] });
    const other = lab.live.find(({ id }) => id !== leader.id && 'ab'.includes(id))!;
    lab.isolate(leader.id);
    lab.step(leader.id, { kind: 'change', id: 1, change: { kind: 'remove', member: leader.id } });
    lab.run(20);
    lab.restart(leader.id);
    lab.heal();
    expect(lab.run(15_000, () => lab.leaders[0] === other)).toBe(true);
    expect(configOf(other)).toBe(`${other.id}|`);
  });
});
