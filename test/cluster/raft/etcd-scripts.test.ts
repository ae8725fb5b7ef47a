/**
 * Facts from the cluster scripts of etcd's raft (Apache-2.0), where they lie beside the project; skipped where not.
 *
 * Compared: every decision on a vote or pre-vote in all 28 scripts (who asked with which log, who answered what), the
 * logs of probe_and_replicate (Figure 7 of the paper) before and after, with term, leader and commit, and the first
 * commits of campaign and single_node. Not compared, and why:
 *
 *   confchange_v2_*, confchange/*      joint configurations; this core changes one voter at a time
 *   confchange_v1_*, *_stepdown        a configuration counts here from its entry on, there when it is applied; a removed
 *                                      leader hands over at once here, and stays leader or waits there
 *   confchange_disable_validation      an option that this core does not have
 *   forget_leader_*                    a command that this core does not have
 *   status, replicate_pause, async_*   window sizes, message order and ticks of that implementation; the same matters are
 *                                      tested in bad-input.test.ts (window) and disk.test.ts (late disks, ABA)
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Entry, type Index, memberId, type Term } from '../../../src/cluster/raft/model.ts';
import { Lab } from './lab.ts';
import { Solo, sent } from './solo.ts';

const folder = new URL('../../../../shared/corpora/etcd-raft/testdata/', import.meta.url);
const there = existsSync(folder);
const script = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

const decision =
  /INFO \d+ \[logterm: (\d+), index: (\d+), vote: (\d+)\] (cast|rejected|ignored) (MsgVote|MsgPreVote) (?:for|from) \d+ \[logterm: (\d+), index: (\d+)\] at term (\d+)/g;

interface Decision {
  readonly line: string;
  readonly own: { readonly term: Term; readonly index: Index };
  readonly voted: boolean;
  readonly how: string;
  readonly pre: boolean;
  readonly asked: { readonly lastTerm: Term; readonly lastIndex: Index };
  readonly term: Term;
}

function decisions(): Decision[] {
  const all = readdirSync(folder).flatMap((name) => [...script(name).matchAll(decision)]);
  return all.map(([line, logTerm, index, vote, how, kind, lastTerm, lastIndex, term]) => ({
    line,
    own: { term: Number(logTerm), index: Number(index) },
    voted: vote !== '0',
    how: how!,
    pre: kind === 'MsgPreVote',
    asked: { lastTerm: Number(lastTerm), lastIndex: Number(lastIndex) },
    term: Number(term),
  }));
}

function decide({ own, voted, how, pre, asked, term }: Decision): string {
  // A vote is asked for in the term that is printed, a pre-vote for the one after it.
  const before = pre || voted ? term : term - 1;
  const terms = Array.from({ length: own.index }, () => own.term);
  const solo = new Solo({ terms, term: before, vote: voted ? 'c' : null });
  solo.now = 1500;
  if (how === 'ignored') solo.hear('c', term, { kind: 'heartbeat', round: 1, commit: 0, grant: null } as never);
  const next = pre || how === 'ignored' ? term + 1 : term;
  if (pre) {
    const out = solo.hear('b', term, { kind: 'preVote', next, ...asked } as never);
    return sent(out, 'preVoteReply')[0]!.granted ? 'cast' : how === 'ignored' ? 'ignored' : 'rejected';
  }
  const [reply] = sent(solo.hear('b', next, { kind: 'vote', transfer: false, ...asked } as never), 'voteReply');
  if (reply === undefined) return 'ignored';
  return reply.granted ? 'cast' : 'rejected';
}

/** `1/11 EntryNormal "x"` lines after `raft-log N`. */
function logOf(text: string, machine: number): Entry[] {
  const block = text.split(`raft-log ${machine}\n----\n`)[1]!.split('\n\n')[0]!;
  return [...block.matchAll(/^(\d+)\/(\d+) EntryNormal "(.*)"$/gm)].map(([, term, index, data]) => ({
    index: Number(index),
    term: Number(term),
    kind: 'data',
    data: new TextEncoder().encode(data),
  }));
}

describe.skipIf(!there)("etcd's scripts (skipped: shared/corpora/etcd-raft is not beside the project)", () => {
  it('every vote and pre-vote is decided alike', () => {
    const all = decisions();
    expect(all.length).toBeGreaterThan(45);
    for (const one of all) expect(`${decide(one)}: ${one.line}`).toBe(`${one.how}: ${one.line}`);
  });

  it('probe_and_replicate: seven unlike logs, one leader of term 8, all equal up to 21', () => {
    const text = script('probe_and_replicate.txt');
    const ids = ['1', '2', '3', '4', '5', '6', '7'];
    const others = Object.fromEntries(ids.slice(1).map((id) => [id, { priority: 0 }]));
    const lab = new Lab({ voters: ids, per: others });
    const votes = new Map<string, boolean>();
    for (const machine of lab.machines.values()) {
      const entries = logOf(text, Number(machine.id));
      const { snapshot } = machine.disk.restored;
      // The voters of that election tell their terms in the script; those of the others are not above it.
      const term = Math.max(machine.id === '1' ? 7 : 0, ...entries.map((entry) => entry.term));
      lab.crash(machine.id);
      machine.disk = {
        restored: { hard: { term, vote: null }, snapshot: { ...snapshot, index: 10, term: 1 }, entries },
      };
      lab.start(machine.id);
    }
    lab.onWire = (message) => {
      if (message.kind === 'voteReply') votes.set(message.from, message.granted);
      return message;
    };
    lab.run(6000);
    expect(lab.leaders.map(({ id }) => id)).toEqual(['1']);
    const said = [...text.matchAll(/INFO (\d) .* (cast|rejected) MsgVote (?:for|from) 1 .* at term 8/g)];
    expect(said).toHaveLength(6);
    expect(new Map(said.map(([, id, how]) => [id, how === 'cast']))).toEqual(new Map([...votes].sort()));
    const expected = logOf(text, 1).map(({ index, term }) => `${term}/${index}`);
    for (const machine of lab.live) {
      expect(machine.raft!.status()).toMatchObject({ term: 8, commit: 21, lastIndex: 21, lastTerm: 8, leader: '1' });
      const log = machine.disk.restored.entries.map(({ index, term }) => `${term}/${index}`);
      expect(log, machine.id).toEqual([...expected, '8/21']);
    }
  });

  it.each([
    ['campaign.txt', ['1', '2', '3'], 2, 1],
    ['single_node.txt', ['1'], 3, 1],
  ])('%s: the first leader commits one entry of term 1 after those that it found', (name, voters, index, term) => {
    expect(script(name)).toContain(`CommittedEntries:\n  ${term}/${index + 1} EntryNormal ""`);
    const lab = new Lab({ voters });
    for (const machine of lab.machines.values()) {
      lab.crash(machine.id);
      const { restored } = machine.disk;
      machine.disk = { restored: { ...restored, snapshot: { ...restored.snapshot, index, term } } };
      lab.start(memberId(machine.id));
    }
    lab.run(6000);
    expect(lab.leaders).toHaveLength(1);
    for (const { raft } of lab.live) expect(raft!.status()).toMatchObject({ term, commit: index + 1, lastTerm: term });
  });
});
