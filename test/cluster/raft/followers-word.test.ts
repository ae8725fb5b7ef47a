import { describe, expect, it } from 'vitest';
import { memberId } from '../../../src/cluster/raft/model.ts';
import { safeRules } from '../../../src/cluster/raft/rules.ts';
import { Solo, sent } from './solo.ts';

describe('what a follower takes as committed', () => {
  const committed = (raft: Solo): number => {
    // Entry 1 is the leader's too; its second and third are others.
    raft.append('b', 2, [0, 0], [1], 3);
    return raft.status.commit;
  };

  it('ends where its log is known to equal the leader’s', () => {
    expect(committed(new Solo({ terms: [1, 1, 1] }))).toBe(1);
  });

  it('would be another log without that rule', () => {
    const rules = { ...safeRules, followerCommit: (leaderCommit: number) => leaderCommit };
    expect(committed(new Solo({ terms: [1, 1, 1], raft: { rules } }))).toBe(3);
  });
});

describe('what a follower acknowledges', () => {
  it('is nothing to a new leader before logs were compared: it would send all again from the first entry', () => {
    const follower = new Solo({ terms: [1, 1, 1] });
    follower.append('b', 1, [3, 1], [], 3);
    const heard = follower.hear('c', 2, { kind: 'heartbeat', round: 1, commit: 0, grant: null } as never);
    expect(sent(heard, 'heartbeatReply')).toMatchObject([{ applied: 3 }]);
    expect(sent(heard, 'appendReply')).toEqual([]);
    expect(sent(follower.append('c', 2, [3, 1], [2], 3), 'appendReply').at(-1)).toMatchObject({
      result: { ok: true, match: 4 },
    });
  });

  it('is said of an empty log too', () => {
    const out = new Solo().append('b', 1, [0, 0], []);
    expect(sent(out, 'appendReply')).toMatchObject([{ result: { ok: true, match: 0 } }]);
  });
});

describe('a read that a follower asks its leader for', () => {
  const asked = (boot: number): { follower: Solo; id: number } => {
    const follower = new Solo({ raft: { boot } });
    follower.append('b', 1, [0, 0], [1], 1);
    const [message] = sent(follower.step({ kind: 'read', id: 7 }), 'readIndex');
    return { follower, id: message!.id };
  };

  it('is answered under its own number', () => {
    const { follower, id } = asked(1);
    const out = follower.hear('b', 1, { kind: 'readIndexReply', id, index: 1 } as never);
    expect(out.reads).toEqual([{ id: 7, index: 1 }]);
  });

  it('is not answered by what an earlier run of the follower had asked for', () => {
    const earlier = asked(1).id;
    const { follower, id } = asked(2);
    expect(id).not.toBe(earlier);
    const reply = { kind: 'readIndexReply', from: memberId('b'), id: earlier, index: 0 };
    expect(follower.hear('b', 1, reply as never).reads).toEqual([]);
  });
});
