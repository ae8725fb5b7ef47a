/** A planned switch to a node that is far behind is refused before a write waits for it. */
import { describe, expect, it } from 'vitest';
import type { FailoverCommand } from '../../../src/cluster/failover/contract.ts';
import { type Lab, policyOf, pool, running } from './lab.ts';

const wish: Extract<FailoverCommand, { kind: 'switch' }> = {
  ...{ kind: 'switch', pool, target: 'b', at: null, dryRun: false, force: false, acceptLoss: null, lost: [] },
};

/** Checks of both for so long, while the primary writes 1 position per ms; `b` is so many ms behind, or stands still. */
function live(lab: Lab, ms: number, behind: number | 'still'): void {
  for (const until = lab.now + ms; lab.now < until; ) {
    lab.see('a', { position: lab.now });
    lab.see('b', { position: behind === 'still' ? 7 : lab.now - behind });
    lab.pass(500);
  }
}

const isSent = (lab: Lab): boolean => (lab.leader!.board?.writeUntil ?? 0) > lab.now;

describe('the target of a switch', () => {
  it('that stands still is refused with the reason, by name or not, also in a dry run; no write waits', () => {
    for (const more of [{}, { target: null }, { dryRun: true }, { acceptLoss: 100 }]) {
      const lab = running(1);
      live(lab, 25_000, 'still');
      const answer = lab.command(lab.leader!, { ...wish, ...more });
      lab.pass(100);
      expect(answer()).toMatchObject({ ok: false, error: { kind: 'unfit', forcible: true } });
      expect(JSON.stringify(answer())).toMatch(/b: it is at 7, and a was at \d+ \S+ ago: it would not catch up/);
      expect([lab.record!.epoch, isSent(lab)]).toEqual([1, true]);
    }
  });

  it('is tried by force, for later, or if the loss is accepted', () => {
    const asked = (more: object): [unknown, boolean] => {
      const lab = running(1);
      live(lab, 25_000, 'still');
      const answer = lab.command(lab.leader!, { ...wish, ...more });
      live(lab, 500, 'still');
      return [answer(), isSent(lab)];
    };
    // Writes wait, and so does who asked: it may catch up yet.
    expect(asked({ force: true })).toEqual([undefined, false]);
    expect(asked({ acceptLoss: 9e15 })).toMatchObject([{ ok: true }, true]);
    const lab = running(1);
    live(lab, 25_000, 'still');
    lab.command(lab.leader!, { ...wish, at: lab.agreed + 5000 });
    expect(lab.record!.planned).toMatchObject({ target: 'b' });
    live(lab, 8000, 'still');
    expect(lab.record).toMatchObject({ epoch: 1, planned: null });
    expect(lab.notes.at(-1)).toMatch(/^the planned switch is given up: b: it is at 7/);
  });

  it.each([0, 1000, 4900])('that follows %i ms behind is taken', (behind) => {
    // At any moment since the leader began, and whatever of the two was looked at last.
    for (let ms = 0; ms < 40_000; ms += 1700) {
      const lab = running(1, policyOf());
      live(lab, ms, behind);
      const answer = lab.command(lab.leader!, { ...wish, dryRun: true });
      expect(answer(), `after ${ms} ms`).toMatchObject({ ok: true });
    }
  });

  it('whose primary was set back is held to what that has now', () => {
    const lab = running(1);
    live(lab, 25_000, 'still');
    lab.see('a', { position: 7 });
    expect(lab.command(lab.leader!, { ...wish, dryRun: true })()).toMatchObject({ ok: true });
  });
});
