/** The rules of leases, epochs, hooks and detection, each by its number in the agreement. */
import { describe, expect, it } from 'vitest';
import { encodeWord } from '../../../src/cluster/failover/codec.ts';
import { type Lab, nodeOf, policyOf, pool, post, running } from './lab.ts';

const hooks = { promote: post('/promote'), demote: post('/demote'), rejoin: post('/rejoin') };
const three = [nodeOf('a'), nodeOf('b'), nodeOf('c', { priority: 50 })];
const down = { failures: 3, detail: 'ECONNREFUSED' };
const crash = (lab: Lab): void => {
  lab.see('a', down);
  lab.pass(50);
};

describe('5 detection', () => {
  it('5.1 a majority of all voters, not of those that spoke', () => {
    const lab = running(5);
    lab.members[4]!.cut = true;
    lab.members[3]!.cut = true;
    lab.report(lab.members[0]!, 'a', down);
    lab.report(lab.members[1]!, 'a', down);
    lab.pass(300);
    expect(lab.record!.epoch).toBe(1);
    lab.report(lab.members[2]!, 'a', down);
    lab.pass(300);
    expect(lab.record!.epoch).toBe(2);
  });

  it('5.1 a report older than two intervals is no vote', () => {
    const lab = running(3);
    lab.report(lab.members[1]!, 'a', down);
    lab.members[1]!.cut = true;
    lab.pass(4100);
    lab.report(lab.members[0]!, 'a', down);
    lab.pass(300);
    expect(lab.record!.epoch).toBe(1);
  });

  it('5.1 reports are sent again to a new leader', () => {
    const lab = running(3, policyOf({ mode: 'manual' }));
    crash(lab);
    lab.lead(lab.members[2]!);
    expect(lab.members[2]!.status.nodes[0]!.down).toEqual(['m1', 'm2', 'm3']);
  });

  it('5.2 who finds it worse tells all, and they look now, at most 20 times a second', () => {
    const lab = running(3);
    lab.pass(100);
    const [first, other] = [lab.members[1]!, lab.members[2]!];
    other.probes.length = 0;
    for (let failures = 1; failures <= 2; failures++) lab.report(first, 'a', { failures });
    expect(other.probes).toEqual(['a']);
    lab.pass(60);
    lab.report(first, 'a', { failures: 3 });
    expect(other.probes).toEqual(['a', 'a']);
  });

  it('5.3 verify: a node that still hears the primary holds the failover', () => {
    const lab = running(3, policyOf({ verify: true }));
    lab.see('b', { primaryHeard: 100 });
    crash(lab);
    expect(lab.record!.epoch).toBe(1);
    expect(lab.leader!.status.reason).toContain('b still hears it');
    lab.see('b', { primaryHeard: 7000 });
    lab.see('a', { failures: 4 });
    lab.pass(50);
    expect(lab.record!.epoch).toBe(2);
  });

  it('5.5 from two failed checks on new writes are parked, and go again when it answers', () => {
    const lab = running(1);
    const [member] = lab.members;
    lab.see('a', { failures: 2 });
    expect(member!.board).toMatchObject({ epoch: 1, writeUntil: 0, otherwise: 'park' });
    expect(member!.board!.cutAt).toBeGreaterThan(lab.now);
    lab.see('a');
    expect(member!.board!.writeUntil).toBeGreaterThan(lab.now);
  });

  it('a member that alone cannot reach it shows a link fault', () => {
    const lab = running(3);
    lab.report(lab.members[2]!, 'a', down);
    lab.pass(1500);
    expect(lab.members[2]!.status.linkFault).toBe(true);
    expect(lab.members[0]!.status.linkFault).toBe(false);
    expect(lab.record!.epoch).toBe(1);
  });
});

describe('2 leases and fences', () => {
  it('2.5 a member confirms only when its data threads hold nothing', () => {
    const lab = running(3);
    lab.members[2]!.held = { writing: 2, passed: null };
    crash(lab);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'pending' });
    expect(lab.leader!.status.reason).toContain('m3');
    lab.members[2]!.held = { writing: 0, passed: null };
    lab.give(lab.members[2]!, { kind: 'held', pool, writing: 0, passed: null });
    lab.pass(200);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open' });
  });

  it('2.5 one that does not answer is not taken for dead: its lease is waited for', () => {
    const lab = running(3);
    for (const member of lab.members.slice(0, 2)) lab.report(member, 'a');
    lab.members[2]!.cut = true;
    const { leaseUntil } = lab.members[2]!;
    for (const member of lab.members.slice(0, 2)) lab.report(member, 'a', down);
    lab.pass(1);
    expect(lab.record!.phase).toBe('pending');
    while (lab.record!.phase === 'pending') lab.pass(10);
    expect(lab.now).toBeGreaterThan(leaseUntil);
  });

  it('2.5 held writes count only once the board that ends leave is out', () => {
    const lab = running(1);
    const [member] = lab.members;
    member!.machine.step(lab.now, { kind: 'held', pool, writing: 0, passed: null });
    member!.held = { writing: 1, passed: null };
    crash(lab);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'pending' });
  });

  it('2.6 who has just started, or lost a member, knows of leases only that they end', () => {
    const lab = running(3);
    lab.pass(4000);
    const fresh = lab.restart(0);
    lab.lead(fresh);
    for (const { id } of lab.members[0]!.policy.nodes) lab.see(id);
    crash(lab);
    expect(lab.record!.phase).toBe('pending');
    lab.pass(3100);
    expect(lab.record!.phase).toBe('open');
  });

  it('2.8 leave ends as the entry comes into the own log; a lease asked for after it shows that it is gone', () => {
    const lab = running(3);
    const member = lab.members[2]!;
    expect(member.board!.writeUntil).toBeGreaterThan(0);
    member.leased = false;
    lab.give(member, { kind: 'moving', pool });
    expect(member.board).toMatchObject({ writeUntil: 0, otherwise: 'park', fencing: true });
    member.leased = true;
    lab.pass(1500);
    expect(member.board!.writeUntil).toBeGreaterThan(lab.now);
  });

  it('2.3 a lease that was asked for before others were voided counts no more', () => {
    const lab = running(3);
    const member = lab.members[1]!;
    const { machine } = member;
    lab.pass(950);
    let ask: number | undefined;
    for (let i = 0; i < 100 && ask === undefined; i++) {
      lab.now += 10;
      machine.step(lab.now, { kind: 'tick' });
      ask = machine.take().leases[0]?.id;
    }
    machine.step(lab.now, { kind: 'void', why: 'stalled' });
    const [board] = machine.take().board;
    expect(board).toMatchObject({ writeUntil: 0, cutAt: 0 });
    const lease = { epoch: 1, writeUntil: lab.now + 2750, cutAt: lab.now + 3000 };
    machine.step(lab.now, { kind: 'leased', id: ask!, lease, why: '' });
    expect(machine.take().board).toEqual([]);
  });

  it('writes stop when leave has run out: refused without a quorum', () => {
    const lab = running(3);
    lab.pass(30_000);
    lab.quorum = false;
    lab.views();
    lab.pass(3000);
    // Who has just lost its quorum may hope to find one: an election is a pause, not an error.
    for (const { board } of lab.members) expect(board).toMatchObject({ writeUntil: 0, otherwise: 'park' });
    lab.pass(10_000);
    for (const { board } of lab.members) expect(board).toMatchObject({ writeUntil: 0, otherwise: 'refuse' });
  });

  it('2.9 continue: without a quorum writes go on, and a switch waits for every member, or for who is not lost', () => {
    const policy = policyOf({ mode: 'manual', withoutQuorum: 'continue' });
    const lab = running(3, policy);
    lab.members[2]!.cut = true;
    lab.views();
    lab.pass(8000);
    expect(lab.members[2]!.board!.writeUntil).toBeGreaterThan(lab.now);
    for (const { id } of policy.nodes) lab.see(id);
    const wish = {
      kind: 'switch',
      pool,
      target: 'b',
      at: null,
      dryRun: false,
      force: false,
      acceptLoss: null,
    } as const;
    const answer = lab.command(lab.leader!, { ...wish, lost: ['m3'] });
    for (let i = 0; i < 40; i++) {
      lab.pass(250);
      for (const { id } of policy.nodes) lab.see(id);
    }
    expect(answer()).toMatchObject({ ok: true });
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', target: { node: 'b' } });
  });

  it('2.9 continue: no time replaces the word of one that is not lost', () => {
    const policy = policyOf({ mode: 'manual', withoutQuorum: 'continue' });
    const lab = running(3, policy);
    lab.members[2]!.cut = true;
    const wish = {
      kind: 'switch',
      pool,
      target: 'b',
      at: null,
      dryRun: false,
      force: false,
      acceptLoss: null,
    } as const;
    lab.command(lab.leader!, { ...wish, lost: [] });
    for (let i = 0; i < 80; i++) {
      lab.pass(250);
      for (const { id } of policy.nodes) lab.see(id);
    }
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'pending' });
  });
});

describe('3 epochs, targets, hooks', () => {
  it('3.1 no leave where the own file has the primary elsewhere', () => {
    const lab = running(3);
    const member = lab.members[1]!;
    member.policy = policyOf({ nodes: [nodeOf('a', { url: 'http://other:1' }), nodeOf('b')] });
    lab.give(member, { kind: 'policies', policies: [member.policy] });
    expect(member.board).toMatchObject({ writeUntil: 0, otherwise: 'refuse' });
    expect(member.status.stopped).toContain('config_mismatch');
    const { asked } = member;
    lab.pass(3000);
    expect(member.asked).toBe(asked);
  });

  it('3.1 with differing policies it goes on, and says so', () => {
    const lab = running(3);
    lab.members[2]!.policy = policyOf({ hash: 'p2' });
    lab.give(lab.members[2]!, { kind: 'policies', policies: [lab.members[2]!.policy] });
    lab.pass(1500);
    for (const { status } of lab.members) expect(status.differing).toEqual(['m3']);
    crash(lab);
    lab.pass(300);
    expect(lab.record!.epoch).toBe(2);
  });

  it('3.2 a hook starts when its start is committed, and its end is kept', () => {
    const lab = running(1, policyOf({ hooks: { ...hooks, demote: null } }));
    lab.quorum = false;
    lab.see('a', down);
    expect(lab.leader!.hooks).toEqual([]);
    lab.quorum = true;
    lab.views();
    lab.pass(300);
    expect(lab.record!.hooks).toMatchObject([{ kind: 'promote', node: 'b', epoch: 2, outcome: 'running' }]);
    const [run] = lab.leader!.hooks;
    expect(run!.deadline).toBeLessThanOrEqual(lab.now + 5000);
    lab.answerHook(run!, { ok: true });
    expect(lab.record).toMatchObject({ phase: 'open', hooks: [{ outcome: 'done' }] });
  });

  it('3.2 whoever may have been promoted is demoted with the newer epoch before another is', () => {
    const lab = running(1, policyOf({ nodes: three, hooks }));
    crash(lab);
    lab.answerHook(lab.leader!.hooks.at(-1)!, { ok: false, detail: 'no' });
    lab.pass(200);
    expect(lab.record).toMatchObject({ epoch: 3, phase: 'pending', target: { node: 'c' }, excluded: ['b'] });
    expect(lab.leader!.hooks.at(-1)).toMatchObject({ kind: 'demote', target: { node: 'b' }, epoch: 3 });
    lab.answerHook(lab.leader!.hooks.at(-1)!, { ok: true });
    lab.pass(50);
    expect(lab.leader!.hooks.at(-1)).toMatchObject({ kind: 'promote', target: { node: 'c' }, epoch: 3 });
    lab.answerHook(lab.leader!.hooks.at(-1)!, { ok: true });
    expect(lab.record).toMatchObject({ epoch: 3, phase: 'open', returning: ['a'] });
  });

  it('3.2 a hook ends when its runner learns of a newer term, and the new leader waits for its time or goes on', () => {
    const lab = running(3, policyOf({ hooks: { ...hooks, demote: null } }));
    lab.pass(3200);
    lab.see('b');
    crash(lab);
    const [old] = [lab.leader!];
    expect(old.hooks).toHaveLength(1);
    lab.lead(lab.members[1]!);
    expect(old.abandoned).toEqual([old.hooks[0]!.id]);
    lab.see('b');
    lab.pass(200);
    // The same node in the same epoch: asking it again does no harm.
    expect(lab.members[1]!.hooks).toMatchObject([{ kind: 'promote', target: { node: 'b' }, epoch: 2 }]);
    lab.answerHook(lab.members[1]!.hooks[0]!, { ok: true });
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open' });
  });

  it('3.3 a hook is run by a member that finds the node healthy, the leader first', () => {
    const lab = running(3, policyOf({ hooks: { ...hooks, demote: null } }));
    lab.report(lab.members[0]!, 'b', { failures: 1 });
    lab.report(lab.members[1]!, 'b', { failures: 0 });
    crash(lab);
    lab.pass(2000);
    expect(lab.members[0]!.hooks).toEqual([]);
    expect(lab.members.slice(1).flatMap((member) => member.hooks)).toMatchObject([{ kind: 'promote', epoch: 2 }]);
  });

  it('3.4 no candidate: no fence, leave goes on, and it says why', () => {
    const lab = running(3, policyOf({ nodes: [nodeOf('a'), nodeOf('b', { candidate: false })] }));
    crash(lab);
    lab.see('a', { failures: 1 });
    lab.see('a', down);
    lab.pass(500);
    expect(lab.record!.epoch).toBe(1);
    expect(lab.leader!.status).toMatchObject({ state: 'DETECTING' });
    expect(lab.leader!.status.reason).toContain('not a candidate');
    lab.see('a');
    for (const { board } of lab.members) expect(board!.writeUntil).toBeGreaterThan(lab.now);
  });

  it('3.4 nobody left: back to the old primary under a new epoch, if it lives and nobody may have been promoted', () => {
    const lab = running(1, policyOf({ hooks: { ...hooks, demote: null }, maxAttempts: 1 }));
    crash(lab);
    lab.see('b', { failures: 3 });
    lab.see('a');
    lab.pass(100);
    // The promotion was begun: b may be primary for all that is known.
    lab.answerHook(lab.leader!.hooks[0]!, { ok: false });
    lab.pass(100);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'failed', failures: 1 });
    expect(lab.leader!.board).toMatchObject({ otherwise: 'refuse' });
  });

  it('3.4 with a demote hook the promotion is undone, and all goes back', () => {
    const lab = running(1, policyOf({ hooks, maxAttempts: 1 }));
    crash(lab);
    lab.see('a');
    lab.answerHook(lab.leader!.hooks.at(-1)!, { ok: false });
    lab.pass(50);
    expect(lab.record).toMatchObject({ epoch: 3, phase: 'pending', target: { node: 'a' }, reason: 'return' });
    expect(lab.leader!.hooks.at(-1)).toMatchObject({ kind: 'demote', target: { node: 'b' }, epoch: 3 });
    lab.answerHook(lab.leader!.hooks.at(-1)!, { ok: true });
    lab.pass(50);
    lab.answerHook(lab.leader!.hooks.at(-1)!, { ok: true });
    expect(lab.record).toMatchObject({ epoch: 3, phase: 'open', target: { node: 'a' } });
  });

  it('3.4 whoever may have been promoted is sick: by itself nothing goes back, at the word of an operator it does', () => {
    const lab = running(1, policyOf({ hooks, maxAttempts: 1, retryAfter: 0 }));
    crash(lab);
    const promote = lab.leader!.hooks.at(-1)!;
    lab.see('a');
    lab.see('b', down);
    lab.answerHook(promote, { ok: false });
    for (let i = 0; i < 12; i++) {
      for (const [node, more] of [['a', {}] as const, ['b', down] as const]) lab.see(node, more);
      lab.pass(500);
    }
    expect(lab.record).toMatchObject({ phase: 'failed', target: { node: 'a' }, reason: 'return' });
    const wish = {
      kind: 'switch',
      pool,
      target: 'a',
      at: null,
      dryRun: false,
      force: false,
      acceptLoss: null,
    } as const;
    const answer = lab.command(lab.leader!, { ...wish, lost: [] });
    for (let i = 0; i < 12 && lab.leader!.hooks.at(-1) === promote; i++) {
      for (const [node, more] of [['a', {}] as const, ['b', down] as const]) lab.see(node, more);
      lab.pass(500);
    }
    lab.answerHook(lab.leader!.hooks.at(-1)!, { ok: true });
    expect(lab.record).toMatchObject({ phase: 'open', target: { node: 'a' }, returning: ['b'] });
    expect(answer()).toMatchObject({ ok: true });
  });

  it('3.4 FAILED rests, doubling, and tries again', () => {
    const policy = policyOf({ hooks: { ...hooks, demote: null }, maxAttempts: 1, retryAfter: 10_000 });
    const lab = running(1, policy);
    crash(lab);
    const fail = (): void => lab.answerHook(lab.leader!.hooks.at(-1)!, { ok: false });
    fail();
    lab.pass(10);
    expect(lab.record!.retryAt - lab.agreed).toBeGreaterThan(9000);
    for (let i = 0; i < 12; i++) {
      lab.see('b');
      lab.see('a', { failures: 9 });
      lab.pass(1000);
    }
    expect(lab.record).toMatchObject({ epoch: 3, phase: 'pending', target: { node: 'b' } });
    fail();
    lab.pass(10);
    expect(lab.record).toMatchObject({ phase: 'failed', failures: 2 });
    expect(lab.record!.retryAt - lab.agreed).toBeGreaterThan(19_000);
  });

  it('3.4 a new leader resumes a pending epoch', () => {
    const lab = running(3);
    lab.pass(3200);
    for (const { id } of lab.members[0]!.policy.nodes) lab.see(id);
    for (const member of lab.members) member.held = { writing: 1, passed: null };
    crash(lab);
    expect(lab.record!.phase).toBe('pending');
    lab.lead(lab.members[2]!);
    for (const member of lab.members) lab.give(member, { kind: 'held', pool, writing: 0, passed: null });
    lab.see('b');
    lab.pass(500);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', target: { node: 'b' } });
  });

  it('3.4 switched off: it stays so for whoever leads, until it is switched on', () => {
    const lab = running(3);
    expect(lab.command(lab.leader!, { kind: 'automatic', pool: null, enabled: false })()).toMatchObject({ ok: true });
    lab.lead(lab.members[1]!);
    crash(lab);
    lab.pass(200);
    expect(lab.record).toMatchObject({ epoch: 1, automatic: false });
    lab.command(lab.leader!, { kind: 'automatic', pool, enabled: true });
    lab.see('a', { failures: 5 });
    lab.pass(50);
    expect(lab.record!.epoch).toBe(2);
  });

  it('3.5 leadership stays while a pool is not at rest', () => {
    const lab = running(1, policyOf({ mode: 'manual' }));
    const { machine } = lab.leader!;
    expect(machine.take().mayMove).toBe(true);
    crash(lab);
    expect(machine.take().mayMove).toBe(false);
  });

  it.each([
    ['its rejoin hook succeeded', { hooks }, null],
    ['it says that it is a replica of that epoch', {}, { role: 'replica', epoch: 2 }],
  ])('3.7 a returned primary takes no reads until %s', (_name, more, says) => {
    const lab = running(1, policyOf(more));
    crash(lab);
    if (lab.record!.phase === 'pending') lab.answerHook(lab.leader!.hooks.at(-1)!, { ok: true });
    lab.see('a', { role: 'primary', epoch: 1 });
    lab.pass(20);
    expect(lab.record!.returning).toEqual(['a']);
    expect(lab.leader!.board!.readers).toEqual(['b']);
    expect(lab.leader!.status.state).toBe('RECOVERING');
    if (says === null) lab.answerHook(lab.leader!.hooks.at(-1)!, { ok: true });
    else lab.see('a', says);
    lab.pass(20);
    expect(lab.record!.returning).toEqual([]);
    expect(lab.leader!.board!.readers).toEqual(['a', 'b']);
    expect(lab.leader!.status.state).toBe('NORMAL');
  });

  it('3.7 one with neither hooks nor roles is back after recoveryWait', () => {
    const lab = running(1);
    crash(lab);
    const start = lab.now;
    while (lab.record!.returning.length > 0 && lab.now < start + 20_000) {
      lab.see('a');
      lab.pass(500);
    }
    expect(lab.now - start).toBeGreaterThanOrEqual(10_000);
    expect(lab.record!.returning).toEqual([]);
  });
});

describe('words that are none', () => {
  it('of a stranger, or not to be read: counted, nothing else', () => {
    const lab = running(3);
    const { machine } = lab.members[0]!;
    const word = encodeWord({ kind: 'probe', pool, node: 'a' });
    machine.step(lab.now, { kind: 'told', from: 'f'.repeat(32) as never, bytes: word });
    machine.step(lab.now, { kind: 'told', from: lab.members[1]!.id, bytes: new Uint8Array([1, 2, 3]) });
    expect(machine.refused).toBe(2);
  });
});
