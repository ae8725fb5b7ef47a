/** The way through, once: crash, choose, fence, promote, open. */
import { describe, expect, it } from 'vitest';
import { policyOf, post, running } from './lab.ts';

describe.each([1, 3, 5])('a crash of the primary, %i members', (count) => {
  it('without hooks: choose, fence, open', () => {
    const lab = running(count);
    expect(lab.record).toMatchObject({ epoch: 1, phase: 'open', target: { node: 'a' } });
    for (const { board } of lab.members) {
      expect(board).toMatchObject({ epoch: 1, node: 'a', why: '' });
      expect(board!.writeUntil).toBeGreaterThan(lab.now);
    }
    for (let failures = 1; failures <= 3; failures++) lab.see('a', { failures, up: failures < 3 });
    lab.pass(100);
    expect(lab.record).toMatchObject({
      epoch: 2,
      phase: 'open',
      target: { node: 'b' },
      reason: 'failover',
      returning: ['a'],
    });
    for (const { board, status } of lab.members) {
      expect(board).toMatchObject({ epoch: 2, node: 'b', why: '', readers: ['b'] });
      expect(status.state).toBe('FAILED_OVER');
    }
  });

  it('with a promote hook: it is committed, run, and then the epoch opens', () => {
    const lab = running(count, policyOf({ hooks: { promote: post('/promote'), demote: null, rejoin: null } }));
    lab.see('a', { failures: 3 });
    lab.pass(100);
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'pending', hooks: [{ kind: 'promote', outcome: 'running' }] });
    const [run] = lab.leader!.hooks;
    expect(run).toMatchObject({ kind: 'promote', target: { node: 'b' }, epoch: 2, reason: 'failover' });
    expect(lab.members.every(({ board }) => board!.writeUntil === 0 && board!.otherwise === 'park')).toBe(true);
    lab.answerHook(run!, { ok: true, position: 7 });
    expect(lab.record).toMatchObject({ epoch: 2, phase: 'open', forks: [{ epoch: 1 }, { epoch: 2, position: 7 }] });
  });
});
