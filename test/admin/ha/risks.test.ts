import { describe, expect, it } from 'vitest';
import { risksOf } from '../../../src/admin/ha/risks.ts';
import type { MemberLine } from '../../../src/cluster/member/contract.ts';
import { memberLine, memberStatus } from './fixture.ts';

/** Voters at `host/zone` each; `-` in front: no voter. */
function risks(...places: readonly string[]): readonly string[] {
  const members = places.map((place, n): MemberLine => {
    const [host = '', zone = ''] = place.replace('-', '').split('/');
    const base = memberLine({
      name: `n${n}`,
      address: `${host}:${7946 + n}`,
      seat: place.startsWith('-') ? 'none' : 'voter',
    });
    return { ...base, metadata: { ...base.metadata!, zone } };
  });
  return risksOf(memberStatus({ members }));
}

describe('what a cluster could not survive', () => {
  it('is nothing to tell of where each voter is for itself', () => {
    expect(risks('a/x', 'b/y', 'c/z')).toEqual([]);
    expect(risks('a', 'b', 'c')).toEqual([]);
    expect(risks('a/x', 'b/x', 'c/y', 'd/y', 'e/z')).toEqual([]);
    expect(risks('a')).toEqual([]);
    expect(risks()).toEqual([]);
  });

  it('is too few, or one too many', () => {
    expect(risks('a', 'b')).toEqual([expect.stringMatching(/^2 voters survive the loss of neither: add a witness/)]);
    expect(risks('a', 'b', 'c', 'd')).toEqual([
      expect.stringMatching(/^4 voters survive the loss of 1, no more than 3/),
    ]);
    expect(risks('a', 'b', 'c', '-d')).toEqual([]);
  });

  it('is a zone or a machine without which there is no quorum', () => {
    expect(risks('a/x', 'b/x', 'c/x')).toEqual([
      expect.stringMatching(/^all 3 voters are in zone x: .* quorum is lost/),
    ]);
    expect(risks('a/x', 'b/x', 'c/y')).toEqual([expect.stringMatching(/^2 of 3 voters are in zone x/)]);
    expect(risks('a/x', 'a/y', 'b/z')).toEqual([expect.stringMatching(/^2 of 3 voters are on machine a:/)]);
    expect(risks('127.0.0.1/x', '127.0.0.1/y', '127.0.0.1/z')).toEqual([]);
    expect(risks('a/x', 'b/x', 'c/x', 'd/y', 'e/y')).toEqual([expect.stringMatching(/^3 of 5 voters are in zone x/)]);
  });
});
