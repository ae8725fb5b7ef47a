/** What one change of primary leaves for the next: positions that were given up, and names that mean another machine now. */
import { describe, expect, it } from 'vitest';
import type { NodeReport } from '../../../src/cluster/failover/contract.ts';
import type { PoolPolicy } from '../../../src/cluster/failover/model.ts';
import { type Lab, nodeOf, policyOf, pool, post, running } from './lab.ts';

const three = [nodeOf('a'), nodeOf('b'), nodeOf('c', { priority: 50 })];
const down = { failures: 3, detail: 'ECONNREFUSED' };

describe('6.1 what a failover gave up', () => {
  const lossy = policyOf({ nodes: three, maxLag: 5 });

  function lostSome(): Lab {
    const lab = running(1, lossy);
    lab.see('b', { position: 97 });
    lab.see('c', { position: 96 });
    lab.members[0]!.held = { writing: 0, passed: 100 };
    lab.see('a', down);
    lab.pass(200);
    return lab;
  }

  it('is said in the history', () => {
    const lab = lostSome();
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', target: { node: 'b' } });
    expect(lab.notes.at(-1)).toBe('b is primary (failover) at position 97, 3 behind what clients were told of');
  });

  it('is not missed again by the next: only positions of the epoch that ends count', () => {
    const lab = lostSome();
    lab.members[0]!.held = { writing: 0, passed: 98 };
    lab.see('b', { position: 98 });
    lab.see('c', { position: 94 });
    lab.see('b', down);
    lab.pass(200);
    expect(lab.record).toMatchObject({ phase: 'open', target: { node: 'c' } });
    expect(lab.notes.at(-1)).toBe('c is primary (failover) at position 94, 4 behind what clients were told of');
  });

  it('but what was passed on in the epoch that ends counts, whichever fence a member said it in', () => {
    const lab = lostSome();
    lab.members[0]!.held = { writing: 0, passed: 103 };
    lab.see('b', { position: 103 });
    lab.see('c', { position: 94 });
    lab.see('b', down);
    lab.pass(200);
    expect(lab.record).toMatchObject({ phase: 'failed' });
    expect(lab.leader!.status.reason).toContain('c: 9 positions behind, at most 5 allowed');
  });
});

describe('3.7 a row that is replaced while its node is not back', () => {
  const policy = policyOf({ nodes: three, recoveryWait: 100 });

  /** `a` was primary; the leader has a new file. */
  function failedOver(nodes: readonly ReturnType<typeof nodeOf>[]): Lab {
    const lab = running(3, policy);
    lab.see('a', down);
    lab.pass(50);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', returning: ['a'] });
    lab.give(lab.leader!, { kind: 'policies', policies: [{ ...policy, nodes }] });
    return lab;
  }

  const others = (lab: Lab) => lab.members.filter((member) => member !== lab.leader);

  it('gone from the leader only: no reads by those who still have it; gone from all: forgotten', () => {
    const without = [nodeOf('b'), nodeOf('c')];
    const lab = failedOver(without);
    for (let turn = 0; turn < 12; turn++) {
      for (const member of others(lab)) lab.report(member, 'a');
      lab.pass(1000);
    }
    expect(lab.record!.returning).toEqual(['a']);
    for (const member of others(lab)) lab.give(member, { kind: 'policies', policies: [{ ...policy, nodes: without }] });
    lab.pass(6000);
    expect(lab.record!.returning).toEqual([]);
  });

  it('another machine by its name: no reads while somebody means the old one', () => {
    const moved = [nodeOf('a', { url: 'http://new:3000' }), nodeOf('b'), nodeOf('c')];
    const lab = failedOver(moved);
    const [first, second] = others(lab);
    lab.give(first!, { kind: 'policies', policies: [{ ...policy, nodes: moved }] });
    const see = (): void => {
      lab.see('a');
      lab.pass(1000);
    };
    for (let turn = 0; turn < 12; turn++) see();
    expect(lab.record!.returning).toEqual(['a']);
    lab.give(second!, { kind: 'policies', policies: [{ ...policy, nodes: moved }] });
    for (let turn = 0; turn < 12; turn++) see();
    expect(lab.record!.returning).toEqual([]);
    expect(lab.leader!.status.nodes.map(({ node }) => node)).toEqual(['a', 'b', 'c']);
    expect(lab.leader!.board).toMatchObject({ pool, readers: ['a', 'b', 'c'] });
  });
});

describe('3.1 a leader whose file has a node elsewhere', () => {
  it('does not take it, though an operator names it, with force or as the one to adopt', () => {
    const policy = policyOf({ nodes: three });
    const lab = running(3, policy);
    const nodes = [nodeOf('a'), nodeOf('b', { url: 'http://wrong:3000' }), nodeOf('c')];
    lab.give(lab.leader!, { kind: 'policies', policies: [{ ...policy, nodes }] });
    for (const { id } of three) lab.see(id);
    const wish = { pool, target: 'b', at: null, dryRun: false, force: true, acceptLoss: null, lost: [] } as const;
    const refused = {
      ok: false,
      error: { kind: 'unfit', why: 'b: most members have not said that they have it at the same url', forcible: false },
    };
    expect(lab.command(lab.leader!, { kind: 'switch', ...wish })()).toEqual(refused);
    expect(lab.command(lab.leader!, { kind: 'adopt', pool, node: 'b' })()).toEqual(refused);
    expect(lab.record).toMatchObject({ epoch: 1, target: { node: 'a' } });
  });

  const wrong = [nodeOf('a'), nodeOf('b', { url: 'http://wrong:3000' })];
  const hooks = { promote: post('/promote'), demote: post('/demote'), rejoin: null };

  /** Nobody has become primary: b may have been promoted, and the leader reads a wrong file. */
  function failing(policy: PoolPolicy, a: Partial<NodeReport>): { lab: Lab; live: (ms: number) => void } {
    const lab = running(3, policy);
    const live = (ms: number): void => {
      for (const until = lab.now + ms; lab.now < until; lab.pass(250)) {
        lab.see('b');
        lab.see('a', a);
      }
    };
    for (const failures of [1, 3]) lab.see('a', { failures });
    live(4000);
    const run = lab.members.flatMap((member) => member.hooks).findLast(({ kind }) => kind === 'promote')!;
    lab.give(lab.leader!, { kind: 'policies', policies: [{ ...policy, nodes: wrong }] });
    lab.answerHook(run, { ok: false });
    return { lab, live };
  }

  it('undoes no promotion by a demote at another machine', () => {
    const { lab, live } = failing(policyOf({ hooks, maxAttempts: 1, retryAfter: 0 }), {});
    live(20_000);
    const demoted = lab.members
      .flatMap((member) => member.hooks)
      .filter(({ kind, epoch }) => kind === 'demote' && epoch > 2);
    expect(demoted).toEqual([]);
    expect(lab.record).toMatchObject({ epoch: 3, phase: 'failed', reason: 'return' });
  });

  it('does not take it when it tries out of FAILED what was tried before', () => {
    const policy = policyOf({ hooks: { ...hooks, demote: null }, maxAttempts: 1, retryAfter: 10_000 });
    const { lab, live } = failing(policy, { failures: 3 });
    live(30_000);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'failed', excluded: ['b'] });
    lab.give(lab.leader!, { kind: 'policies', policies: [policy] });
    live(3000);
    expect(lab.record).toMatchObject({ epoch: 3, phase: 'pending', target: { node: 'b', url: 'http://b:3000' } });
  });
});
