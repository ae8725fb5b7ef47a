/**
 * The quorum vectors of etcd's raft (Apache-2.0), where they lie beside the project; skipped where they do not.
 *
 * majority_*: all. joint_*: this core changes one voter at a time and has no joint configuration, so of these only the
 * cases apply whose joint configuration is a majority: its second half is empty (`zero`), or equal to the first.
 */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type MemberId, memberId } from '../../../src/cluster/raft/model.ts';
import { reached, votersApart, voteState } from '../../../src/cluster/raft/quorum.ts';

interface Vector {
  readonly line: string;
  readonly command: string;
  readonly cfg: readonly MemberId[];
  readonly joint: string | null;
  readonly values: readonly string[];
  readonly expected: string;
}

const folder = new URL('../../../../shared/corpora/etcd-raft/quorum/testdata/', import.meta.url);
const there = existsSync(folder);

function list(line: string, name: string): string[] {
  const found = new RegExp(`${name}=\\(([^)]*)\\)`).exec(line);
  return found === null || found[1] === '' ? [] : found[1]!.split(',').map((word) => word.trim());
}

function vectorsOf(file: string): Vector[] {
  const lines = readFileSync(new URL(file, folder), 'utf8').split('\n');
  return lines.flatMap((line, i): Vector[] => {
    if (lines[i + 1] !== '----') return [];
    let end = i + 2;
    while (lines[end] !== undefined && lines[end] !== '') end += 1;
    const command = line.split(' ')[0]!;
    const values = [...list(line, 'idx'), ...list(line, 'votes')];
    const joint = /cfgj=(\S+)/.exec(line.replace(/, /g, ','))?.[1] ?? null;
    return [{ line, command, cfg: list(line, 'cfg').map(memberId), joint, values, expected: lines[end - 1]! }];
  });
}

function answer({ command, cfg, values }: Vector): string {
  // A voter that is named twice has the value that it was given first.
  const voters = [...new Set(cfg)];
  const value = (voter: MemberId): string => values[voters.indexOf(voter)] ?? '_';
  if (command === 'committed') {
    const index = reached(voters, (voter) => (value(voter) === '_' ? 0 : Number(value(voter))));
    return index === Number.POSITIVE_INFINITY ? '∞' : String(index);
  }
  const votes = new Map(voters.filter((voter) => value(voter) !== '_').map((voter) => [voter, value(voter) === 'y']));
  return { won: 'VoteWon', lost: 'VoteLost', open: 'VotePending' }[voteState(voters, votes)];
}

const isMajority = ({ line, joint }: Vector): boolean =>
  joint === 'zero' || list(line, 'cfg').join() === list(line, 'cfgj').join();

describe.skipIf(!there)(
  'the quorum vectors of etcd (skipped: shared/corpora/etcd-raft is not beside the project)',
  () => {
    it.each([
      ['majority_commit.txt', 16],
      ['majority_vote.txt', 22],
    ])('%s: all %i', (file, count) => {
      const vectors = vectorsOf(file);
      expect(vectors).toHaveLength(count);
      for (const vector of vectors) expect(vector.expected.replace(/^<.*>/, ''), vector.line).toBe(answer(vector));
    });

    it.each(['joint_commit.txt', 'joint_vote.txt'])('%s: those whose joint configuration is a majority', (file) => {
      const vectors = vectorsOf(file).filter(isMajority);
      expect(vectors.length).toBeGreaterThan(4);
      for (const vector of vectors) expect(vector.expected.replace(/^<.*>/, ''), vector.line).toBe(answer(vector));
    });
  },
);

describe('quorums', () => {
  const ids = 'abcdefg'.split('').map(memberId);

  it('any two of one size, or of sizes that differ by one voter, share a voter', () => {
    for (let n = 1; n < 7; n++) {
      const quorum = Math.floor(n / 2) + 1;
      expect(2 * quorum).toBeGreaterThan(n);
      expect(quorum + Math.floor((n + 1) / 2) + 1).toBeGreaterThan(n + 1);
    }
  });

  it('counts how many voters two configurations are apart', () => {
    const config = (...voters: MemberId[]) => ({ voters, learners: [] });
    expect(votersApart(config(ids[0]!, ids[1]!), config(ids[1]!, ids[0]!))).toBe(0);
    expect(votersApart(config(ids[0]!), config(ids[0]!, ids[1]!))).toBe(1);
    expect(votersApart(config(ids[0]!, ids[1]!), config(ids[0]!, ids[2]!))).toBe(2);
  });
});
