/** 6.1 the choice, before and after the fence; 4.3 the first epoch; switches and what operators ask for. */
import { describe, expect, it } from 'vitest';
import { type Candidate, choose } from '../../../src/cluster/failover/choice.ts';
import type { FailoverCommand } from '../../../src/cluster/failover/contract.ts';
import { firstOf } from '../../../src/cluster/failover/first.ts';
import type { KeptReport } from '../../../src/cluster/failover/reports.ts';
import { defaultLimits } from '../../../src/cluster/replica/model.ts';
import { Lab, nodeOf, policyOf, pool, post, running } from './lab.ts';

const three = [nodeOf('a'), nodeOf('b'), nodeOf('c', { priority: 50 })];
const hooks = { promote: post('/promote'), demote: post('/demote'), rejoin: null };
const candidate = (id: string, more: Partial<Candidate> = {}): Candidate => ({
  node: nodeOf(id),
  up: true,
  barred: null,
  epoch: null,
  position: null,
  ...more,
});
const free = { reference: null, loss: 0 };

describe('6.1 the choice', () => {
  const policy = policyOf();
  const winner = (...all: readonly Candidate[]): string | undefined => choose(all, policy, free).winner?.node.id;

  it('health before all, then epoch and position, then priority, then id', () => {
    expect(winner(candidate('b', { up: false }), candidate('c'))).toBe('c');
    expect(winner(candidate('b', { epoch: 3, position: 9 }), candidate('c', { epoch: 4, position: 5 }))).toBe('c');
    expect(winner(candidate('b', { position: 4 }), candidate('c', { position: 5 }))).toBe('c');
    const preferred = candidate('c', { node: nodeOf('c', { priority: 200 }) });
    expect(winner(candidate('b'), preferred)).toBe('c');
    expect(winner(candidate('b', { position: 5 }), { ...preferred, position: 4 })).toBe('b');
    expect(winner(candidate('c'), candidate('b'))).toBe('b');
  });

  it('none too far behind what was passed on, unless an operator gives it up; one without a position is not known to be', () => {
    const at = (position: number | null) => candidate('b', { position });
    const fits = (position: number | null, loss = 0): boolean =>
      choose([at(position)], policy, { reference: 100, loss }).winner !== null;
    expect([fits(100), fits(99), fits(null), fits(98, 2), fits(97, 2)]).toEqual([true, false, false, true, false]);
    expect(choose([at(98)], policy, { reference: 100, loss: 0 }).why).toBe('b: 2 positions behind, at most 0 allowed');
  });

  it('anew after the fence, by positions of now: another choice is another epoch', () => {
    const lab = running(3, policyOf({ nodes: three }));
    lab.see('a', { position: 10 });
    lab.see('b', { position: 10 });
    lab.see('c', { position: 8 });
    for (const member of lab.members) member.held = { writing: 1, passed: null };
    lab.see('a', { failures: 3 });
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'pending', target: { node: 'b' } });
    lab.see('c', { position: 12 });
    for (const member of lab.members) lab.give(member, { kind: 'held', pool, writing: 0, passed: 12 });
    lab.pass(200);
    expect(lab.record).toMatchObject({ epoch: 3, phase: 'open', target: { node: 'c' } });
    expect(lab.record!.forks.at(-1)).toEqual({ epoch: 3, position: 12 });
  });

  it('nobody has what was passed on: FAILED, until an operator gives it up', () => {
    const lab = running(1);
    lab.see('b', { position: 8 });
    lab.members[0]!.held = { writing: 0, passed: 10 };
    lab.see('a', { failures: 3 });
    lab.pass(200);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'failed' });
    expect(lab.leader!.status.reason).toContain('2 positions behind');
    const wish = { kind: 'switch', pool, target: 'b', at: null, dryRun: false, force: false, lost: [] } as const;
    lab.see('b', { position: 8 });
    const refused = lab.command(lab.leader!, { ...wish, acceptLoss: 1 });
    lab.pass(200);
    expect(refused()).toMatchObject({ ok: false });
    lab.see('b', { position: 8 });
    const done = lab.command(lab.leader!, { ...wish, acceptLoss: 2 });
    lab.pass(200);
    expect(done()).toMatchObject({ ok: true });
    expect(lab.record).toMatchObject({ phase: 'open', target: { node: 'b' } });
  });

  it('a primary that dies before a check or a write told its position leaves what it had when its epoch opened', () => {
    const lab = running(3, policyOf({ nodes: three, maxLag: 12 }));
    lab.see('b', { position: 77 });
    lab.see('c', { position: 96 });
    for (const member of lab.members) member.held = { writing: 0, passed: 97 };
    lab.see('a', { failures: 3 });
    lab.pass(200);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', target: { node: 'c' } });
    for (const member of lab.members) member.held = { writing: 0, passed: null };
    // All have seen it fail before a majority holds it for down.
    for (const failures of [1, 2, 3]) lab.see('c', { failures });
    lab.see('b', { position: 77 });
    lab.pass(500);
    expect(lab.record).toMatchObject({ epoch: 3, phase: 'failed' });
    expect(lab.leader!.status.reason).toContain('b: 19 positions behind, at most 12 allowed');
  });

  it('of a pool of a thousand nodes is told in a line that the history takes', () => {
    const many = Array.from({ length: 1000 }, (_, i) => nodeOf(`node-${i}`));
    const lab = running(1, policyOf({ nodes: [nodeOf('a'), nodeOf('b'), ...many], hooks: { ...hooks, demote: null } }));
    for (const { id } of many) lab.see(id, { failures: 3 });
    lab.see('b');
    lab.see('a', { failures: 3 });
    lab.pass(100);
    lab.answerHook(lab.leader!.hooks[0]!, { ok: false, detail: 'exit code 1' });
    lab.pass(1500);
    expect(lab.record).toMatchObject({ phase: 'failed', epoch: 2 });
    expect(lab.notes.at(-1)).toMatch(/^no node could be made primary: b: promote failed: exit code 1; /);
    expect(Math.max(...lab.notes.map((note) => Buffer.byteLength(note)))).toBeLessThan(defaultLimits.recordBytes);
  });

  it('what some members still see at the url of before says nothing of the node that has its name now', () => {
    const at = (url: string) =>
      policyOf({ nodes: [nodeOf('a'), nodeOf('b'), nodeOf('c', { priority: 200, url })], hash: url });
    const lab = running(3, at('http://old:3000'));
    for (const member of lab.members) member.held = { writing: 0, passed: 100 };
    // Two have the new file; the third one still checks the machine of before, which has all.
    for (const member of lab.members.slice(0, 2))
      lab.give(member, { kind: 'policies', policies: [at('http://new:3000')] });
    for (const node of ['a', 'b']) lab.see(node, { position: 100 });
    for (const member of lab.members.slice(0, 2)) lab.report(member, 'c', { position: 20 });
    lab.report(lab.members[2]!, 'c', { position: 100 });
    lab.see('a', { failures: 3 });
    lab.pass(500);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', target: { node: 'b' } });
  });

  it('a node that any member was told to drain is none to choose, whoever looked at it last', () => {
    const lab = running(3, policyOf({ nodes: [nodeOf('a'), nodeOf('b'), nodeOf('c', { priority: 200 })] }));
    const [leader, told, other] = lab.members;
    const planned = (): string | undefined => {
      const answer = lab.command(leader!, {
        ...{ kind: 'switch', pool, target: null, at: null, dryRun: true, force: false, acceptLoss: null, lost: [] },
      })();
      return answer?.ok === true ? answer.plan?.to : undefined;
    };
    expect(planned()).toBe('c');
    lab.report(told!, 'c', { wanted: false });
    lab.pass(1);
    for (const member of [leader!, other!]) lab.report(member, 'c');
    expect(planned()).toBe('b');
    // Of one that is gone nobody knows what it was told.
    told!.cut = true;
    lab.pass(3000);
    for (const member of [leader!, other!]) for (const node of ['a', 'b', 'c']) lab.report(member, node);
    expect(planned()).toBe('c');
    told!.cut = false;
    lab.pass(3000);
    for (const node of ['a', 'b', 'c']) lab.see(node);
    expect(planned()).toBe('c');
  });

  it('one that came back and has not shown that it knows its place is none to choose', () => {
    const lab = running(1, policyOf({ recoveryWait: 60_000 }));
    lab.see('a', { failures: 3 });
    lab.pass(100);
    lab.see('a');
    lab.see('b', { failures: 3 });
    lab.pass(100);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', target: { node: 'b' } });
    expect(lab.leader!.status.reason).toContain('has not shown since that it knows its place');
  });

  it('no failover soon after another; each that comes soon doubles the wait', () => {
    const lab = running(1, policyOf({ minInterval: 20_000, recoveryWait: 100 }));
    lab.see('a', { failures: 3 });
    lab.pass(100);
    expect(lab.record).toMatchObject({ epoch: 2, flaps: 0 });
    const until = lab.now + 26_000;
    let openedAt = 0;
    while (lab.now < until && lab.record!.epoch === 2) {
      lab.see('a');
      lab.see('b', { failures: 3 });
      lab.pass(500);
    }
    openedAt = lab.now - until + 26_000;
    expect(openedAt).toBeGreaterThan(19_000);
    lab.pass(100);
    expect(lab.record).toMatchObject({ epoch: 3, target: { node: 'a' }, flaps: 1 });
  });
});

describe('4.3 the first epoch', () => {
  const report = (more: Partial<KeptReport>): KeptReport => ({
    ...{ pool, node: '', url: '', up: true, failures: 0, at: 0, detail: '', role: null, epoch: null, cluster: null },
    ...{ position: null, lag: null, primaryHeard: null, wanted: true, ...more },
  });
  const first = (a: KeptReport | null, b: KeptReport | null) =>
    firstOf(
      [
        { node: nodeOf('a'), report: a },
        { node: nodeOf('b'), report: b },
      ],
      'c1',
    );

  it.each([
    ['no epoch seen: the file', report({}), report({}), 'a', 1],
    ['no epoch seen, and one is silent: the file', null, report({}), 'a', 1],
    ['the one that says primary at the highest', report({ epoch: 4 }), report({ epoch: 7, role: 'primary' }), 'b', 8],
    ['an epoch seen, and one is silent', null, report({ epoch: 7, role: 'primary' }), null, 0],
    ['two say so', report({ epoch: 7, role: 'primary' }), report({ epoch: 7, role: 'primary' }), null, 0],
    ['nobody says so at the highest', report({ epoch: 6, role: 'primary' }), report({ epoch: 7 }), null, 0],
    ['one follows another cluster', report({ cluster: 'c2' }), report({}), null, 0],
  ])('%s', (_name, a, b, node, epoch) => {
    const { node: taken, epoch: at } = first(a, b);
    expect([taken?.id ?? null, at]).toEqual([node, epoch]);
  });

  it('undecided: writes are refused until an operator adopts one', () => {
    const lab = new Lab(3);
    lab.see('a', { epoch: 5, role: 'primary' });
    lab.see('b', { epoch: 5, role: 'primary' });
    lab.pass(100);
    expect(lab.record).toMatchObject({ epoch: 0, phase: 'undecided' });
    for (const { board } of lab.members) expect(board).toMatchObject({ otherwise: 'refuse' });
    expect(lab.command(lab.leader!, { kind: 'adopt', pool, node: 'x' })()).toMatchObject({
      error: { kind: 'unknown-node', known: ['a', 'b'] },
    });
    lab.command(lab.leader!, { kind: 'adopt', pool, node: 'b' });
    lab.pass(100);
    expect(lab.record).toMatchObject({ epoch: 6, phase: 'open', target: { node: 'b' }, reason: 'adopt' });
    // The other may have writes of its own.
    expect(lab.record!.returning).toEqual(['a']);
    for (const { board } of lab.members) expect(board!.readers).toEqual(['b']);
    lab.see('a', { epoch: 6, role: 'replica' });
    lab.pass(100);
    for (const { board } of lab.members) expect(board!.readers).toEqual(['a', 'b']);
  });

  it.each([
    ['a newer epoch', { epoch: 9 }, 'has seen epoch 9'],
    ['another cluster', { epoch: 1, cluster: 'c2' }, 'follows another cluster'],
  ])('a node that reports %s stops writes here, and is shown as a split', (_name, says, why) => {
    const lab = running(3);
    lab.report(lab.members[1]!, 'b', says);
    expect(lab.members[1]!.board).toMatchObject({ writeUntil: 0, otherwise: 'park' });
    lab.pass(2100);
    expect(lab.members[1]!.board).toMatchObject({ writeUntil: 0, otherwise: 'refuse' });
    expect(lab.members[1]!.status.stopped).toContain(`SPLIT_BRAIN: node b ${why}`);
    expect(lab.members[1]!.status.reason).toContain(`SPLIT_BRAIN: node b ${why}`);
    lab.report(lab.members[1]!, 'b', { epoch: 1, cluster: 'c1' });
    expect(lab.members[1]!.board!.writeUntil).toBeGreaterThan(lab.now);
    expect(lab.members[1]!.status).toMatchObject({ state: 'NORMAL', reason: '', stopped: '' });
    const said = lab.members[1]!.events.filter((text) => text.startsWith('SPLIT_BRAIN'));
    expect(said).toEqual([expect.stringContaining(`SPLIT_BRAIN: node b ${why}`), 'SPLIT_BRAIN is over']);
  });

  it('a split that the leader sees is its state; news of our own that are under way are none, and are not said', () => {
    const lab = running(3);
    lab.see('b', { epoch: 2 });
    lab.pass(1900);
    expect(lab.leader!.status).toMatchObject({ state: 'NORMAL', reason: '' });
    lab.see('b', { epoch: 1 });
    lab.pass(200);
    expect(lab.leader!.events.filter((text) => text.startsWith('SPLIT_BRAIN'))).toEqual([]);
    lab.see('b', { epoch: 9 });
    lab.pass(2100);
    const reason = 'SPLIT_BRAIN: node b has seen epoch 9, agreed is 1';
    for (const { status } of lab.members) expect(status).toMatchObject({ state: 'DETECTING', reason });
  });

  it('a node that says twice that it is primary, and is not, is named; one that was primary before is not', () => {
    const lab = running(1);
    const { machine, events } = lab.leader!;
    const detail = (node: string): string | undefined =>
      machine.status(pool)?.nodes.find((one) => one.node === node)?.detail;
    const primary = { role: 'primary', epoch: 1 } as const;
    const said = (): number => events.filter((text) => text.includes('b says that it is primary, and a is')).length;
    lab.see('b', primary);
    lab.pass(100);
    // It may have learned its place since.
    expect([detail('b'), said()]).toEqual(['', 0]);
    for (let i = 0; i < 3; i++) {
      lab.see('b', primary);
      lab.pass(100);
    }
    expect([detail('b'), said(), lab.record!.epoch]).toEqual(['says that it is primary', 1, 1]);
    lab.see('b', { role: 'replica', epoch: 1 });
    expect(detail('b')).toBe('');
    for (let i = 0; i < 3; i++) {
      lab.see('b', { ...primary, epoch: 2 });
      lab.pass(100);
    }
    // We may be the ones who are late.
    expect([detail('b'), said()]).toEqual(['', 1]);
    lab.see('b', { role: 'replica', epoch: 1 });
    const wish = { target: 'b', at: null, dryRun: false, force: false, acceptLoss: null, lost: [] };
    lab.command(lab.leader!, { kind: 'switch', pool, ...wish });
    lab.pass(300);
    for (let i = 0; i < 3; i++) {
      lab.see('a', { ...primary, epoch: 2 });
      lab.pass(100);
    }
    expect([lab.record!.target?.node, lab.record!.returning, detail('a')]).toEqual(['b', ['a'], '']);
  });
});

describe('switches', () => {
  const wish: Extract<FailoverCommand, { kind: 'switch' }> = {
    ...{ kind: 'switch', pool, target: 'b', at: null, dryRun: false, force: false, acceptLoss: null, lost: [] },
  };

  it('writes in flight finish on the old primary, under its epoch; then the epoch moves', () => {
    const lab = running(3);
    lab.members[1]!.held = { writing: 1, passed: null };
    const answer = lab.command(lab.leader!, wish);
    lab.pass(1000);
    expect(lab.record!.epoch).toBe(1);
    for (const { board } of lab.members) expect(board).toMatchObject({ epoch: 1, writeUntil: 0, otherwise: 'park' });
    for (const { board } of lab.members) expect(board!.cutAt).toBeGreaterThan(lab.now);
    lab.members[1]!.held = { writing: 0, passed: null };
    lab.give(lab.members[1]!, { kind: 'held', pool, writing: 0, passed: null });
    lab.pass(200);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', reason: 'switchover', target: { node: 'b' } });
    expect(answer()).toMatchObject({ ok: true });
  });

  it('the old one is demoted after the fence, the new one catches up, then it is promoted', () => {
    const lab = running(1, policyOf({ hooks }));
    lab.members[0]!.held = { writing: 0, passed: 40 };
    lab.see('b', { position: 38 });
    lab.command(lab.leader!, wish);
    lab.pass(100);
    const [demote] = lab.leader!.hooks;
    expect(demote).toMatchObject({ kind: 'demote', target: { node: 'a' }, epoch: 2 });
    lab.answerHook(demote!, { ok: true, position: 41 });
    lab.pass(100);
    expect(lab.leader!.hooks).toHaveLength(1);
    lab.see('b', { position: 41 });
    lab.pass(100);
    expect(lab.leader!.hooks[1]).toMatchObject({ kind: 'promote', target: { node: 'b' } });
    lab.answerHook(lab.leader!.hooks[1]!, { ok: true, position: 41 });
    // The demote of this very epoch says that the old one knows its place.
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open' });
    expect(lab.record!.returning).toEqual([]);
  });

  it('does not catch up: all goes back to the old primary, under a new epoch', () => {
    const lab = running(1, policyOf({ hooks }));
    lab.members[0]!.held = { writing: 0, passed: 40 };
    lab.see('b', { position: 38 });
    const answer = lab.command(lab.leader!, wish);
    lab.pass(100);
    lab.answerHook(lab.leader!.hooks[0]!, { ok: true });
    for (let i = 0; i < 12; i++) {
      lab.see('a');
      lab.pass(500);
    }
    expect(lab.record).toMatchObject({ epoch: 3, phase: 'pending', reason: 'return', target: { node: 'a' } });
    lab.answerHook(lab.leader!.hooks.at(-1)!, { ok: true });
    expect(lab.record).toMatchObject({ epoch: 3, phase: 'open', target: { node: 'a' } });
    expect(answer()).toMatchObject({ ok: false, error: { kind: 'failed' } });
  });

  it('a dry run says who would win and changes nothing', () => {
    const lab = running(1, policyOf({ nodes: three }));
    const answer = lab.command(lab.leader!, { ...wish, target: null, dryRun: true });
    expect(answer()).toMatchObject({ ok: true, plan: { from: 'a', to: 'b', others: [{ node: 'c' }] } });
    expect(lab.record!.epoch).toBe(1);
  });

  it('a planned one waits for its time, survives the leader, and can be cancelled', () => {
    const lab = running(3);
    lab.command(lab.leader!, { ...wish, at: lab.agreed + 3000 });
    expect(lab.record!.planned).toMatchObject({ target: 'b' });
    lab.command(lab.leader!, { kind: 'cancel', pool });
    expect(lab.record!.planned).toBeNull();
    lab.command(lab.leader!, { ...wish, at: lab.agreed + 1000 });
    lab.lead(lab.members[1]!);
    lab.see('b');
    lab.pass(900);
    expect(lab.record!.epoch).toBe(1);
    lab.pass(400);
    expect(lab.record).toMatchObject({ epoch: 2, target: { node: 'b' }, planned: null });
  });

  it('for a moment that is long past is refused, since who mistyped it does not mean now; a minute is not', () => {
    const lab = running(1);
    for (const dryRun of [false, true])
      expect(lab.command(lab.leader!, { ...wish, at: lab.agreed - 60_001, dryRun })()).toMatchObject({
        ok: false,
        error: { kind: 'failed', why: expect.stringContaining('past') },
      });
    lab.pass(2000);
    expect(lab.record).toMatchObject({ epoch: 1, planned: null });
    lab.command(lab.leader!, { ...wish, at: lab.agreed - 50_000 });
    lab.pass(2000);
    expect(lab.record).toMatchObject({ epoch: 2, target: { node: 'b' }, planned: null });
  });

  it('a planned one ends with its epoch, and the history says so; one that takes place does not end', () => {
    const givenUp = (lab: Lab): number =>
      lab.notes.filter((note) => note.includes('planned switch is given up')).length;
    const lab = running(1);
    lab.command(lab.leader!, { ...wish, at: lab.agreed + 60_000 });
    lab.see('a', { failures: 3 });
    lab.pass(200);
    expect(lab.record).toMatchObject({ epoch: 2, target: { node: 'b' }, planned: null });
    expect(givenUp(lab)).toBe(1);
    const other = running(1);
    other.command(other.leader!, { ...wish, at: other.agreed + 1000 });
    other.pass(1500);
    expect(other.record).toMatchObject({ epoch: 2, target: { node: 'b' }, planned: null });
    expect(givenUp(other)).toBe(0);
  });

  it('a planned one whose time passed while the process was down waits for the first checks, not for ever', () => {
    const restarted = (): Lab => {
      const lab = running(1);
      lab.command(lab.leader!, { ...wish, at: lab.agreed + 1000 });
      lab.now += 2000;
      lab.restart(0);
      lab.pass(300);
      expect(lab.record).toMatchObject({ epoch: 1, planned: { target: 'b' } });
      return lab;
    };
    const well = restarted();
    for (const node of ['a', 'b']) well.see(node);
    well.pass(300);
    expect(well.record).toMatchObject({ epoch: 2, target: { node: 'b' }, planned: null });
    const silent = restarted();
    for (let i = 0; i < 10; i++) {
      silent.see('a');
      silent.pass(1000);
    }
    expect(silent.record).toMatchObject({ epoch: 1, planned: null });
    expect(silent.notes.at(-1)).toMatch(/^the planned switch is given up: b: /);
  });

  it('refused with the reason: unknown, unhealthy, primary already, no leader, no quorum', () => {
    const lab = running(3);
    const ask = (more: object, member = lab.leader!) => lab.command(member, { ...wish, ...more })();
    expect(ask({ pool: 'x' })).toMatchObject({ error: { kind: 'unknown-pool', known: ['app'] } });
    expect(ask({ target: 'x' })).toMatchObject({ error: { kind: 'unknown-node', known: ['a', 'b'] } });
    expect(ask({ target: 'a' })).toMatchObject({ error: { kind: 'unfit', forcible: false } });
    expect(ask({}, lab.members[1])).toMatchObject({ error: { kind: 'not-leader' } });
    lab.see('b', { failures: 3 });
    expect(ask({ force: true })).toMatchObject({ error: { kind: 'unfit', forcible: false } });
    lab.quorum = false;
    lab.views();
    expect(ask({})).toMatchObject({ error: { kind: 'no-quorum' } });
  });

  it('what is not agreed on is not said to be done', () => {
    const lab = running(3);
    lab.quorum = false;
    const answer = lab.command(lab.leader!, { kind: 'automatic', pool, enabled: false });
    expect(answer()).toMatchObject({ ok: false, error: { kind: 'failed' } });
    expect(lab.record!.automatic).toBe(true);
  });

  it.each([0, 10_000])(
    'failback: by a word, or by itself after recoveryWait, though it was healthy for %i ms before',
    (ms) => {
      const lab = running(1, policyOf({ failback: 'automatic', recoveryWait: 3000 }));
      for (const until = lab.now + ms; lab.now < until; ) {
        for (const node of ['a', 'b']) lab.see(node);
        lab.pass(250);
      }
      lab.command(lab.leader!, wish);
      lab.pass(300);
      expect(lab.record).toMatchObject({ epoch: 2, target: { node: 'b' } });
      const start = lab.now;
      while (lab.record!.epoch === 2 && lab.now < start + 20_000) {
        for (const node of ['a', 'b']) lab.see(node);
        lab.pass(250);
      }
      lab.pass(300);
      expect(lab.record).toMatchObject({ epoch: 3, phase: 'open', reason: 'failback', target: { node: 'a' } });
      expect(lab.now - start).toBeGreaterThan(3000);
      expect(lab.command(lab.leader!, { kind: 'failback', pool, dryRun: false })()).toMatchObject({ ok: false });
    },
  );

  it('failback by itself does not begin while its target lacks what the primary had a moment before', () => {
    const lab = running(1, policyOf({ failback: 'automatic', recoveryWait: 3000 }));
    lab.see('b', { position: 10 });
    lab.command(lab.leader!, wish);
    lab.pass(300);
    expect(lab.record).toMatchObject({ epoch: 2, target: { node: 'b' } });
    let written = 10;
    const live = (behind: number, ms: number): void => {
      for (const until = lab.now + ms; lab.now < until; ) {
        written += 5;
        lab.see('b', { position: written });
        lab.see('a', { position: written - behind });
        lab.pass(250);
      }
    };
    live(1000, 30_000);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', target: { node: 'b' } });
    expect(lab.leader!.events.filter((text) => text.startsWith('failback to a waits: it is at '))).toHaveLength(1);
    // Always a little behind, as one is that is being written to.
    live(20, 10_000);
    expect(lab.record).toMatchObject({ reason: 'failback', target: { node: 'a' } });
  });
});
