import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import type { ReadGrant } from '../../../src/cluster/raft/messages.ts';
import { memberId, newborn } from '../../../src/cluster/raft/model.ts';
import { Raft } from '../../../src/cluster/raft/raft.ts';

const [a, b, c] = ['a', 'b', 'c'].map(memberId) as [
  ReturnType<typeof memberId>,
  ReturnType<typeof memberId>,
  ReturnType<typeof memberId>,
];

/** A follower of b, whose request for a read lease went out at 10. */
function followerAt10(): Raft {
  const raft = new Raft({ id: a, boot: 1, now: 0, random: seededRandom(1) }, newborn([a, b, c]));
  heartbeat(raft, 10, null);
  for (let out = raft.take(); out.persist !== null; out = raft.take())
    raft.step(10, { kind: 'persisted', ticket: out.persist.ticket });
  return raft;
}

function heartbeat(raft: Raft, now: number, grant: ReadGrant | null): void {
  raft.step(now, {
    kind: 'message',
    message: { kind: 'heartbeat', from: b, boot: 1, to: a, term: 1, round: 1, commit: 0, grant },
  });
}

describe('a read lease and a machine that slept', () => {
  const grant: ReadGrant = { askedAt: 10, boot: 1, index: 0 };

  it('counts from when it was asked for', () => {
    const raft = followerAt10();
    heartbeat(raft, 20, grant);
    expect([raft.mayRead(20), raft.mayRead(809), raft.mayRead(811)]).toEqual([true, true, false]);
  });

  it('is not taken if it was asked for before the sleep and comes after it', () => {
    const raft = followerAt10();
    raft.step(20, { kind: 'stalled', ms: 700 });
    heartbeat(raft, 20, grant);
    expect(raft.mayRead(20)).toBe(false);
    heartbeat(raft, 300, { ...grant, askedAt: 250 });
    expect(raft.mayRead(300)).toBe(true);
  });
});
