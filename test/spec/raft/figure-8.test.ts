/**
 * Figure 8 of the Raft paper, played with real machines: an entry of term 2 is on a majority, and is overwritten all
 * the same. With the rule of 5.4.2 nobody ever took it for committed; without it, somebody applied it.
 */
import { describe, expect, it } from 'vitest';
import type { RaftMessage } from '../../../src/cluster/raft/messages.ts';
import { type Rules, safeRules } from '../../../src/cluster/raft/rules.ts';
import { Breach, Checkers } from '../../cluster/raft/checkers.ts';
import { Lab } from '../../cluster/raft/lab.ts';

/** Only s1 and s5 ever stand, as in the figure. */
function play(rules: Partial<Rules>): Lab {
  const never = { priority: 0 };
  const lab = new Lab({
    voters: ['s1', 's2', 's3', 's4', 's5'],
    per: { s2: never, s3: never, s4: never },
    raft: { rules: { ...safeRules, ...rules } },
  });
  const checkers = new Checkers(lab);
  const restart = (id: string): void => {
    checkers.restarted(lab.machine(id));
    lab.start(lab.machine(id).id);
  };
  const elect = (id: string): void => {
    const won = lab.run(8000, () => lab.leaders.some((machine) => machine.id === id));
    expect(won, `${id} leads`).toBe(true);
  };
  // a: s1 leads, and its entry reaches s2 alone.
  lab.crash('s5');
  elect('s1');
  lab.run(500);
  for (const id of ['s3', 's4', 's5']) lab.part('s1', id);
  lab.step('s1', { kind: 'propose', id: 1, data: new Uint8Array(1) });
  lab.run(100);
  // b: s5 leads by s3 and s4; what it writes reaches nobody.
  lab.crash('s1');
  lab.heal();
  lab.part('s5', 's2');
  const mute = (from: string, maxIndex: number) => (message: RaftMessage) =>
    message.kind === 'append' && message.from === from
      ? { ...message, entries: message.entries.filter(({ index }) => index <= maxIndex) }
      : message;
  const old = lab.machine('s2').raft!.status().lastIndex;
  lab.onWire = mute('s5', old - 1);
  restart('s5');
  lab.onWire = (message) => (message.from === 's5' && message.kind === 'append' ? null : message);
  lab.run(0);
  catchUp(lab);
  elect('s5');
  lab.run(50);
  // c: s1 leads again, and brings the old entry, but none of its new term, to s3.
  lab.crash('s5');
  lab.onWire = mute('s1', old);
  lab.heal();
  lab.part('s1', 's4');
  restart('s1');
  elect('s1');
  lab.run(1000);
  expect(lab.raft('s3').status()).toMatchObject({ lastIndex: old });
  // d: s5 leads, and overwrites it.
  lab.crash('s1');
  lab.onWire = (message) => message;
  lab.heal();
  restart('s5');
  elect('s5');
  lab.run(2000);
  restart('s1');
  lab.run(4000);
  checkers.checkWhole();
  return lab;
}

/** s5 was down when s1's first entries were committed; it needs them to win. It gets them by hand. */
function catchUp(lab: Lab): void {
  const s5 = lab.machine('s5');
  const { restored } = lab.machine('s3').disk;
  s5.disk = { restored: { ...restored, hard: { term: restored.hard.term, vote: null } } };
  lab.restart('s5');
}

describe('figure 8', () => {
  it('by the rule, the overwritten entry was never taken for committed', () => {
    const lab = play({});
    const applied = lab.live.map(({ applied: index }) => index);
    expect(new Set(applied).size).toBe(1);
  });

  it('counting copies of an older term loses a committed entry', () => {
    expect(() => play({ countsForCommit: () => true })).toThrow(Breach);
  });
});
