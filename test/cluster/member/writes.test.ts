import { describe, expect, it } from 'vitest';
import { encodeWord } from '../../../src/cluster/member/codec.ts';
import { encodeProposal } from '../../../src/cluster/replica/codec.ts';
import { change, next, poolRecord } from '../replica/pool-records.ts';
import { Lab, set, textAt } from './lab.ts';

const formed = (count = 3, over: Parameters<typeof Lab.of>[1] = {}, seed = 1): Lab => {
  const lab = Lab.of(count, over, seed);
  lab.start();
  lab.form();
  return lab;
};

describe('8 writes', () => {
  it('8.1 quorum: every member takes them, and answers once it has applied them itself', () => {
    const lab = formed();
    for (const host of lab.running) {
      expect(lab.set(host.name, 'k', host.name)).toMatchObject({ ok: true, value: { written: { committed: true } } });
      expect(textAt(host, 'k')).toBe(host.name);
    }
  });

  it('8.1 strong: acknowledged when every member has it, or may not read from its own state', () => {
    const lab = formed();
    const [follower] = lab.followers();
    const leader = lab.leader!;
    expect(lab.run(3000, () => follower!.up.mayRead(lab.now))).toBe(true);
    lab.part(leader.name, follower!.name);
    const started = lab.now;
    expect(lab.set(leader.name, 'k', 'v', { consistency: 'strong' })).toMatchObject({ ok: true });
    expect(textAt(follower!, 'k')).toBeNull();
    expect(follower!.up.mayRead(lab.now)).toBe(false);
    expect(lab.now - started).toBeLessThan(2000);
  });

  it('more calls than it takes at once are refused, but not those on which writes to primaries rest', () => {
    const lab = formed(3, { settings: { callsMax: 4 } });
    const first = poolRecord();
    const [follower] = lab.followers();
    const { answers, name } = follower!;
    expect(lab.answer(name, { kind: 'propose', command: change(first), consistency: 'quorum' })).toMatchObject({
      ok: true,
    });
    // Nothing of it arrives for a while, so that all calls stay under way.
    lab.cut.add(`${name}>${lab.leader!.name}`);
    const keys = ['a', 'b', 'c', 'd', 'e'];
    const writes = keys.map((key) => lab.call(name, { kind: 'propose', command: set(key, ''), consistency: 'quorum' }));
    const lease = lab.call(name, { kind: 'write-lease', pool: 'app', epoch: 1 });
    const moved = lab.call(name, { kind: 'propose', command: change(next(first)), consistency: 'quorum' });
    expect([...writes, lease, moved].filter((call) => answers.has(call))).toEqual([writes[4]]);
    expect(answers.get(writes[4]!)).toEqual({ ok: false, error: { kind: 'overloaded' } });
    lab.run(100);
    lab.cut.clear();
    expect(lab.run(3000, () => [...writes, lease, moved].every((call) => answers.has(call)))).toBe(true);
    expect([answers.get(lease), answers.get(moved)]).toMatchObject([{ ok: true }, { ok: true }]);
    // They are bounded too.
    lab.isolate(name);
    const leases = Array.from({ length: 9 }, () => lab.call(name, { kind: 'write-lease', pool: 'app', epoch: 1 }));
    expect(leases.filter((call) => answers.has(call))).toHaveLength(1);
  });

  it('8.1 eventual says that it is not committed, and is only for unconditional writes of keys', () => {
    const lab = formed();
    const [follower] = lab.followers();
    const handed = lab.set(follower!.name, 'k', 'v', { consistency: 'eventual' });
    expect(handed).toMatchObject({ ok: true, value: { written: { committed: false } } });
    expect(lab.run(1000, () => textAt(lab.leader!, 'k') === 'v')).toBe(true);
    const lock = { kind: 'withdraw', name: 'l', owner: 'o' } as const;
    expect(lab.answer('a', { kind: 'propose', command: lock, consistency: 'eventual' })).toMatchObject({
      error: { kind: 'not-eventual' },
    });
  });

  it('8.2 a write under way as the leader dies is made once, whoever leads then', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const lab = formed(3, {}, seed);
      const leader = lab.leader!;
      const [follower] = lab.followers();
      const call = lab.call(follower!.name, {
        kind: 'propose',
        command: { ...set('k', 'v'), when: { kind: 'absent' } } as never,
        consistency: 'quorum',
      });
      lab.run(seed * 0.7);
      lab.crash(leader.name);
      expect(lab.run(8000, () => follower!.answers.has(call))).toBe(true);
      // Applied twice, the condition would not hold the second time.
      expect(follower!.answers.get(call)).toMatchObject({ ok: true });
    }
  });

  it('8.2 an unknown outcome is said, and the same ticket tells later', () => {
    const lab = formed();
    const [follower] = lab.followers();
    const leader = lab.leader!;
    for (const other of lab.hosts.keys()) if (other !== follower!.name) lab.cut.add(`${other}>${follower!.name}`);
    const call = lab.call(follower!.name, { kind: 'propose', command: set('k', 'v'), consistency: 'quorum' });
    expect(lab.run(8000, () => follower!.answers.has(call))).toBe(true);
    const answer = follower!.answers.get(call)!;
    expect(answer).toMatchObject({ ok: false, error: { kind: 'unknown-outcome' } });
    expect(textAt(leader, 'k')).toBe('v');
    lab.cut.clear();
    lab.form(10_000);
    const ticket = !answer.ok && answer.error.kind === 'unknown-outcome' ? answer.error.ticket : undefined;
    const again = lab.set(follower!.name, 'k', 'v', { ticket: ticket! });
    expect(again).toMatchObject({ ok: true, value: { written: { committed: true, ticket } } });
    expect(lab.leader!.up.replica.kv.get('k')?.created).toBe(lab.leader!.up.replica.kv.get('k')?.revision);
  });

  it('without a quorum a write is refused with whom it lacks, and a local read goes on', () => {
    const lab = formed();
    lab.set('a', 'k', 'v');
    lab.run(500);
    lab.crash('b', 'c');
    lab.run(15_000);
    expect(lab.set('a', 'k', 'w')).toEqual({ ok: false, error: { kind: 'no-quorum', missing: ['b', 'c'] } });
    expect(lab.answer('a', { kind: 'read', need: 'current' })).toMatchObject({ error: { kind: 'no-quorum' } });
    const local = lab.answer('a', { kind: 'read', need: 'local' });
    expect(local).toMatchObject({ ok: true, value: { freshness: { kind: 'local' } } });
    expect(lab.host('a').up.status()).toMatchObject({ state: 'DEGRADED', quorum: false });
  });

  it('master-slave: only the leader takes writes, the others name it', () => {
    const lab = formed(3, { writes: 'master-slave' });
    const leader = lab.leader!;
    const [follower] = lab.followers();
    expect(lab.set(leader.name, 'k', 'v')).toMatchObject({ ok: true });
    expect(lab.set(follower!.name, 'k', 'w')).toEqual({
      ok: false,
      error: { kind: 'not-leader', leader: leader.name },
    });
  });

  it('8.3 agreed time never runs back, over leaders and a restart of all, whatever the wall clocks say', () => {
    const lab = formed();
    const times: number[] = [];
    const note = (): void => {
      lab.set(lab.running[0]!.name, 't', 'x');
      times.push(lab.running[0]!.up.replica.now);
    };
    note();
    lab.crash(lab.leader!.name);
    lab.run(10_000, () => lab.leader !== null);
    note();
    const down = [...lab.hosts.values()].find((host) => host.member === null)!;
    // Its wall clock is a year behind.
    down.options = { ...down.options, wall: 1.6e12 };
    lab.start(down.name);
    lab.form(10_000);
    note();
    lab.crash('a', 'b', 'c');
    for (const host of lab.hosts.values()) host.options = { ...host.options, wall: 1.6e12 };
    lab.start();
    lab.form(10_000);
    note();
    note();
    expect([...times].sort((a, b) => a - b)).toEqual(times);
    expect(times.at(-1)! - times[0]!).toBeLessThan(lab.now);
  });

  it('8.3 who does not belong to the cluster has no say in its time', () => {
    const lab = formed();
    const { cluster } = lab.host('a').up.status();
    const head = { cluster: cluster!, run: 1, commands: 1, leaseless: false, agreed: 2e12 };
    const from = { id: 'e'.repeat(32) as never, boot: 1 };
    const bytes = encodeWord(head, { kind: 'join', name: 'e', address: '10.0.0.5:7946' });
    lab.crash('a');
    lab.start('a');
    lab.step('a', { kind: 'message', from, bytes });
    lab.run(5);
    expect(lab.host('a').up.status().agreedNow).toBeLessThan(1.8e12);
  });

  it('8.4 a command of a newer version goes into the log only when all voters announce it', () => {
    const lab = formed();
    const leader = lab.leader!;
    const [follower, other] = lab.followers();
    const data = encodeProposal({
      proposer: { uid: follower!.disk.uid, boot: follower!.disk.boot, number: 900 },
      at: 0,
      command: set('k', 'new'),
    });
    data[0] = 2;
    const before = leader.up.status().raft!.lastIndex;
    const { cluster } = leader.up.status();
    const head = { cluster: cluster!, run: 0, commands: 2, leaseless: false };
    const from = { id: follower!.disk.uid, boot: follower!.disk.boot + 1 };
    const ask = { kind: 'propose', strong: false, data } as const;
    lab.step(leader.name, { kind: 'message', from, bytes: encodeWord(head, { kind: 'ask', id: 1, ask }) });
    lab.run(100);
    expect(leader.up.status().raft!.lastIndex).toBe(before);
    expect(other!.up.status().stop).toBeNull();
  });

  it('8.4 a member that the others contradict on the state’s hash stops, and says so', () => {
    const lab = formed();
    for (let i = 0; i < 20; i++) lab.set('a', 'k', `${i}`);
    lab.run(500);
    // A bit that fell over in the memory of one.
    const [odd] = lab.followers();
    odd!.up.replica.kv.put({ ...odd!.up.replica.kv.get('k')!, value: new Uint8Array([1]) });
    const calls: number[] = [];
    for (let round = 0; round < 11; round++) {
      for (let i = 0; i < 100; i++) {
        calls.push(lab.call('a', { kind: 'propose', command: set(`${round}/${i}`, 'v'), consistency: 'quorum' }));
      }
      lab.run(500);
    }
    expect(lab.run(3000, () => odd!.up.status().phase === 'stopped')).toBe(true);
    expect(odd!.up.status().stop).toMatchObject({ reason: 'diverged' });
    expect(lab.running.filter(({ up }) => up.status().stop !== null)).toHaveLength(1);
  });

  it('what runs out in the state is ended by the leader, also by one that came after', () => {
    const lab = formed();
    const grant = { kind: 'grant', ttlMs: 3000 } as const;
    const granted = lab.answer('a', { kind: 'propose', command: grant, consistency: 'quorum' });
    const value =
      granted.ok && granted.value.kind === 'written' && granted.value.written.committed
        ? granted.value.written.value
        : null;
    const lease = value?.kind === 'granted' ? value.lease : 0;
    lab.answer('a', { kind: 'propose', command: { ...set('k', 'v'), lease } as never, consistency: 'quorum' });
    lab.crash(lab.leader!.name);
    lab.run(2500);
    const [host] = lab.running;
    expect(textAt(host!, 'k')).toBe('v');
    expect(lab.run(3000, () => textAt(host!, 'k') === null)).toBe(true);
  });
});

describe('reads', () => {
  it('current: what was acknowledged anywhere before is in it', () => {
    const lab = formed();
    for (let i = 0; i < 30; i++) {
      const [writer, reader] = [lab.running[i % 3]!, lab.running[(i + 1) % 3]!];
      lab.set(writer.name, 'k', `${i}`);
      expect(lab.answer(reader.name, { kind: 'read', need: 'current' })).toMatchObject({ ok: true });
      expect(textAt(reader, 'k')).toBe(`${i}`);
    }
  });

  it('leased: at once under the own read lease, and every strong write is in it', () => {
    const lab = formed();
    const [follower] = lab.followers();
    for (let i = 0; i < 10; i++) {
      expect(lab.set(lab.leader!.name, 'k', `${i}`, { consistency: 'strong' })).toMatchObject({ ok: true });
      expect(lab.run(3000, () => follower!.up.mayRead(lab.now))).toBe(true);
      const before = lab.now;
      expect(lab.answer(follower!.name, { kind: 'read', need: 'leased' })).toMatchObject({ ok: true });
      expect(lab.now).toBe(before);
      expect(textAt(follower!, 'k')).toBe(`${i}`);
    }
  });

  it('local: says how old it may be', () => {
    const lab = formed();
    const [follower] = lab.followers();
    lab.run(1000);
    lab.isolate(follower!.name);
    lab.run(5000);
    const answer = lab.answer(follower!.name, { kind: 'read', need: 'local' });
    const freshness = answer.ok && answer.value.kind === 'fresh' ? answer.value.freshness : null;
    expect(freshness?.kind === 'local' ? freshness.ageMs : 0).toBeGreaterThan(4500);
  });
});
