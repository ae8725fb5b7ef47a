/** Orders of events in which a change of primary went wrong by no fault of a single rule. */
import { describe, expect, it } from 'vitest';
import type { FailoverCommand } from '../../../src/cluster/failover/contract.ts';
import { type Lab, nodeOf, policyOf, pool, post, running } from './lab.ts';

const wish: Extract<FailoverCommand, { kind: 'switch' }> = {
  ...{ kind: 'switch', pool, target: 'b', at: null, dryRun: false, force: false, acceptLoss: null, lost: [] },
};
const nodes = ['a', 'b', 'c'].map((id) => nodeOf(id));

/** For so long everybody who can sees these nodes so. */
function live(lab: Lab, ms: number, see: Readonly<Record<string, Parameters<Lab['see']>[1]>>): void {
  for (const until = lab.now + ms; lab.now < until; ) {
    for (const [node, more] of Object.entries(see)) lab.see(node, more);
    lab.pass(250);
  }
}

describe('6.1 what must not be lost', () => {
  it('in a switch: a member that cannot say what it passed on is no reason to ask for less than the old primary told', () => {
    const lab = running(3);
    for (const member of lab.members) member.held = { writing: 0, passed: 90 };
    lab.see('a', { position: 100 });
    lab.see('b', { position: 95 });
    // It told clients of 100, and nobody hears it any more.
    lab.members[2]!.cut = true;
    lab.command(lab.leader!, wish);
    live(lab, 6000, { a: { position: 100 }, b: { position: 95 } });
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'pending' });
    live(lab, 1000, { a: { position: 100 }, b: { position: 100 } });
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', target: { node: 'b' } });
  });

  it('the same of a member that an operator says is lost', () => {
    const lab = running(3, policyOf({ mode: 'manual', withoutQuorum: 'continue' }));
    for (const member of lab.members) member.held = { writing: 0, passed: 90 };
    lab.see('a', { position: 100 });
    lab.see('b', { position: 95 });
    lab.members[2]!.cut = true;
    live(lab, 3000, { a: { position: 100, failures: 3 }, b: { position: 95 } });
    const answer = lab.command(lab.leader!, { ...wish, lost: ['m3'] });
    live(lab, 6000, { a: { position: 100, failures: 3 }, b: { position: 95 } });
    expect(lab.record!.phase).toBe('failed');
    expect(answer()).toMatchObject({ ok: false });
  });

  it('a member whose process began anew in the epoch does not know what it passed on before', () => {
    const lab = running(3);
    for (const member of lab.members) member.held = { writing: 0, passed: 90 };
    lab.see('a', { position: 100 });
    lab.see('b', { position: 95 });
    lab.restart(2);
    live(lab, 3000, { a: { position: 100 }, b: { position: 95 } });
    live(lab, 6000, { a: { failures: 3, position: 100 }, b: { position: 95 } });
    expect(lab.record!.phase).toBe('failed');
  });

  it('an epoch that opens on the same node: nothing that it has is said to be lost', () => {
    const lab = running(1);
    lab.see('a', { position: 90 });
    lab.pass(100);
    // Written since the last check.
    lab.members[0]!.held = { writing: 0, passed: 100 };
    lab.leader!.found.set('a', { ...lab.leader!.found.get('a')!, position: 100 });
    lab.command(lab.leader!, { kind: 'adopt', pool, node: 'a' });
    lab.pass(200);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', target: { node: 'a' } });
    expect(lab.record!.forks.at(-1)).toEqual({ epoch: 2, position: 100 });
    expect(lab.notes.join()).not.toContain('behind what clients were told of');
  });
});

describe('a switch', () => {
  it('of nodes that tell their position when they are checked only waits for what the old primary has since the fence', () => {
    const lab = running(1);
    lab.see('a', { position: 50 });
    lab.see('b', { position: 50 });
    lab.pass(100);
    // Written since that check.
    lab.leader!.found.set('a', { ...lab.leader!.found.get('a')!, position: 60 });
    lab.command(lab.leader!, wish);
    live(lab, 1000, { b: { position: 55 } });
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'pending' });
    live(lab, 1000, { b: { position: 60 } });
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', target: { node: 'b' } });
  });

  it('to a node that does not tell how far it is, where the primary does, is refused, and does not end there', () => {
    const lab = running(1, policyOf({ failback: 'automatic', recoveryWait: 3000 }));
    lab.see('a', { position: 50 });
    expect(lab.command(lab.leader!, wish)()).toMatchObject({ ok: false, error: { kind: 'unfit' } });
    expect(lab.command(lab.leader!, { ...wish, target: null })()).toMatchObject({
      ok: false,
      error: { kind: 'unfit' },
    });
    expect(lab.record!.epoch).toBe(1);
    // It told when the switch began, and does not any more.
    lab.see('b', { position: 50 });
    lab.leader!.held = { writing: 1, passed: 50 };
    lab.command(lab.leader!, wish);
    lab.see('b');
    lab.leader!.held = { writing: 0, passed: 50 };
    live(lab, 8000, { a: { position: 50 }, b: {} });
    expect(lab.record).toMatchObject({ phase: 'open', reason: 'return', target: { node: 'a' } });
    live(lab, 500, { a: { position: 50 }, b: { position: 50 } });
    lab.command(lab.leader!, wish);
    live(lab, 1000, { a: { position: 50 }, b: { position: 50 } });
    expect(lab.record).toMatchObject({ phase: 'open', target: { node: 'b' } });
    const { epoch } = lab.record!;
    lab.leader!.held = { writing: 0, passed: null };
    live(lab, 20_000, { a: {}, b: { position: 60 } });
    expect(lab.record!.epoch).toBe(epoch);
    expect(lab.leader!.events.filter((text) => text.includes('it is at an unknown position'))).toHaveLength(1);
    live(lab, 15_000, { a: { position: 60 }, b: { position: 60 } });
    expect(lab.record).toMatchObject({ reason: 'failback', target: { node: 'a' } });
  });

  it('2.9 that waits for a member that is gone goes on when an operator names it, though it was not named at first', () => {
    const lab = running(3, policyOf({ mode: 'manual', withoutQuorum: 'continue' }));
    lab.members[2]!.cut = true;
    const answer = lab.command(lab.leader!, wish);
    live(lab, 8000, { a: {}, b: {} });
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'pending' });
    expect(lab.leader!.status.reason).toBe('the fence waits for m3');
    const other = lab.command(lab.leader!, { ...wish, target: 'a', lost: ['m3'] });
    expect(other()).toMatchObject({ ok: false, error: { kind: 'busy' } });
    const named = lab.command(lab.leader!, { ...wish, lost: ['m3'] });
    live(lab, 1000, { a: {}, b: {} });
    expect(named()).toMatchObject({ ok: true });
    expect(answer()).toMatchObject({ ok: true });
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', target: { node: 'b' } });
  });

  it.each(['leaves', 'is left out'])(
    '2.6 is not kept from by a member that %s: it writes no more, though it needs no lease',
    (how) => {
      const lab = running(3, policyOf({ mode: 'manual', withoutQuorum: 'continue' }));
      const member = lab.members[2]!;
      expect(member.board!.writeUntil).toBeGreaterThan(lab.now);
      member.leased = false;
      const view = lab.viewOf(member);
      const without = { ...view, voters: view.voters.filter((id) => id !== member.id) };
      lab.give(member, { kind: 'void', why: how === 'leaves' ? 'removed' : 'voters-changed' });
      if (how !== 'leaves') lab.give(member, { kind: 'cluster', view: without });
      expect(member.board!.writeUntil).toBe(0);
      expect(member.board!.cutAt).toBeLessThanOrEqual(lab.now);
    },
  );

  it('2.8 is not undone by a restart: who accepted it, and has applied less, writes in no epoch of before', () => {
    const lab = running(3, policyOf({ mode: 'manual', withoutQuorum: 'continue' }));
    const { record } = lab;
    const [, , member] = lab.members;
    expect(member!.board!.writeUntil).toBeGreaterThan(lab.now);
    member!.moves = true;
    // Its process begins: what its log says comes before what is applied, and maybe before anybody listens.
    member!.machine.step(lab.now, { kind: 'policies', policies: [] });
    member!.machine.step(lab.now, { kind: 'policies', policies: [member!.policy] });
    lab.give(member!, { kind: 'records', records: [record!] });
    lab.report(member!, 'a');
    expect(member!.board!.writeUntil).toBe(0);
    member!.moves = false;
    lab.pass(1000);
    lab.see('a');
    expect(member!.board!.writeUntil).toBeGreaterThan(lab.now);
  });

  it('out of FAILED whose proposal is refused is proposed again, and ends', () => {
    const lab = running(1, policyOf({ mode: 'manual' }));
    lab.members[0]!.held = { writing: 0, passed: 40 };
    lab.see('b', { position: 38 });
    lab.see('a', { position: 40, failures: 3 });
    lab.command(lab.leader!, { ...wish });
    live(lab, 3000, { a: { failures: 3, position: 40 }, b: { position: 38 } });
    expect(lab.record!.phase).toBe('failed');
    lab.refuse = 1;
    const answer = lab.command(lab.leader!, { ...wish, acceptLoss: 5 });
    live(lab, 8000, { a: { failures: 3, position: 40 }, b: { position: 38 } });
    expect(answer()).toMatchObject({ ok: true });
    expect(lab.record).toMatchObject({ phase: 'open', target: { node: 'b' } });
  });

  it('whose primary dies while writes finish: another that has everything is taken if the named one lacks some', () => {
    const lab = running(1, policyOf({ nodes }));
    lab.members[0]!.held = { writing: 1, passed: 40 };
    lab.see('b', { position: 38 });
    lab.see('c', { position: 40 });
    lab.command(lab.leader!, wish);
    lab.pass(200);
    lab.members[0]!.held = { writing: 0, passed: 40 };
    lab.see('a', { failures: 3 });
    live(lab, 3000, { a: { failures: 3 }, b: { position: 38 }, c: { position: 40 } });
    expect(lab.record).toMatchObject({ phase: 'open', target: { node: 'c' } });
  });

  it('right after a change of leader waits for writes in flight on members too that have not spoken since', () => {
    const lab = running(3);
    lab.members[2]!.held = { writing: 1, passed: null };
    lab.elect(lab.members[1]!);
    lab.lead(lab.members[1]!);
    lab.command(lab.leader!, wish);
    lab.pass(300);
    expect(lab.record!.epoch).toBe(1);
  });

  it('automatic failback goes to the node that the file names, and to none if it names none', () => {
    const standby = [nodeOf('a', { role: 'standby' }), nodeOf('b')];
    const lab = running(1, policyOf({ failback: 'automatic', recoveryWait: 3000 }));
    lab.command(lab.leader!, wish);
    lab.pass(300);
    expect(lab.record).toMatchObject({ epoch: 2, target: { node: 'b' } });
    // An operator made a standby of it since.
    const policy = policyOf({ failback: 'automatic', recoveryWait: 3000, nodes: standby });
    lab.give(lab.leader!, { kind: 'policies', policies: [policy] });
    live(lab, 30_000, { a: {}, b: {} });
    expect(lab.record).toMatchObject({ epoch: 2, target: { node: 'b' } });
  });
});

describe('a leader that has just begun', () => {
  it('knows what it was told since it was elected: a node that another member drains is no candidate', () => {
    const lab = running(3, policyOf({ nodes }));
    const [, next, other] = lab.members;
    lab.report(other!, 'b', { wanted: false });
    lab.members[0]!.cut = true;
    for (const one of [next!, other!]) lab.report(one, 'a', { failures: 3 });
    for (const node of ['b', 'c']) lab.report(next!, node);
    // Elected; the others tell it at once what they see, and then its first own entry is committed.
    lab.elect(next!);
    lab.lead(next!);
    lab.pass(1);
    expect(lab.record).toMatchObject({ epoch: 2, target: { node: 'c' } });
  });
});

describe('a hook that gives no answer', () => {
  it('keeps nobody awake while its last moment passes', () => {
    const lab = running(1, policyOf({ hooks: { promote: post('/promote', 3000), demote: null, rejoin: null } }));
    lab.see('a', { failures: 3 });
    // The lab says so if it is asked to wake the machine at once again and again.
    live(lab, 2900, { a: { failures: 3 }, b: {} });
    lab.pass(200);
    expect(lab.record!.phase).toBe('failed');
  });

  it('FAILED says why also when another leads', () => {
    const lab = running(3);
    for (const member of lab.members) member.held = { writing: 0, passed: 10 };
    lab.see('b', { position: 8 });
    lab.see('a', { failures: 3 });
    lab.pass(500);
    expect(lab.leader!.status).toMatchObject({ state: 'FAILED' });
    lab.lead(lab.members[1]!);
    lab.pass(1500);
    for (const { status } of lab.members) expect(status.reason).toContain('the history says why');
  });
});

describe('flapping', () => {
  it('each failover that comes as soon as it may doubles the rest, up to 64 times', () => {
    const lab = running(1, policyOf({ minInterval: 1000, recoveryWait: 100 }));
    const flaps: number[] = [];
    for (let i = 0; i < 8; i++) {
      const { epoch } = lab.record!;
      const primary = lab.record!.target!.node;
      const other = primary === 'a' ? 'b' : 'a';
      for (const until = lab.now + 120_000; lab.record!.epoch === epoch && lab.now < until; )
        live(lab, 250, { [primary]: { failures: 3 }, [other]: {} });
      live(lab, 1000, { [primary]: {}, [other]: {} });
      flaps.push(lab.record!.flaps);
    }
    expect(flaps).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });
});
