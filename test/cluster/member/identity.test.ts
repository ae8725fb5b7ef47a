import { describe, expect, it } from 'vitest';
import { memberId } from '../../../src/base/ids.ts';
import { decodeWord, encodeWord } from '../../../src/cluster/member/codec.ts';
import type { PeerName } from '../../../src/cluster/member/contract.ts';
import { runOf } from '../../../src/cluster/member/rules.ts';
import { noEnd } from '../../../src/cluster/member/words.ts';
import { encodeDatagram } from '../../../src/cluster/swim/codec.ts';
import { copyOf, Lab, textAt } from './lab.ts';

describe('7.2 who speaks', () => {
  it('an old copy of a disk is found out: nothing that it says counts, and it stops with the way out', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const b = lab.host('b');
    lab.crash('b');
    const old = copyOf(b.disk);
    lab.start('b');
    lab.form(10_000);
    expect(lab.set('a', 'k', 'v')).toMatchObject({ ok: true });
    lab.crash('b');
    // It is raised to the boot that the others have seen: the same number, another run.
    b.disk = old;
    lab.start('b');
    expect(lab.run(10_000, () => b.up.status().phase === 'stopped')).toBe(true);
    expect(b.up.status().stop).toMatchObject({ reason: 'amnesia' });
    expect(b.up.status().stop?.why).toContain('empty data folder');
  });

  it('an old copy that was started again and again where nobody heard it is found out all the same', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const b = lab.host('b');
    lab.crash('b');
    const old = copyOf(b.disk);
    lab.start('b');
    lab.form(10_000);
    expect(lab.set('a', 'k', 'v')).toMatchObject({ ok: true });
    lab.crash('b');
    b.disk = old;
    lab.isolate('b');
    for (let starts = 0; starts < 20; starts++) {
      lab.start('b');
      lab.run(50);
      lab.crash('b');
    }
    const seen = lab.host('a').disk.boots.get(b.disk.uid)!.both;
    lab.cut.clear();
    lab.start('b');
    expect(runOf(b.disk.boot, 0)).toBeGreaterThan(seen);
    expect(lab.run(10_000, () => b.up.status().phase === 'stopped')).toBe(true);
    expect(b.up.status().stop).toMatchObject({ reason: 'amnesia' });
    expect(lab.host('a').disk.boots.get(b.disk.uid)!.both).toBe(seen);
  });

  it('a copy that was made while the member ran, and put back, is found out by the leader that counted it', () => {
    const lab = Lab.of(3);
    lab.start();
    const leader = lab.form().name;
    const name = lab.followers()[0]!.name;
    const other = lab.followers()[1]!.name;
    const { disk } = lab.host(name);
    lab.run(500);
    const old = copyOf(disk);
    lab.part(other, leader);
    lab.part(other, name);
    expect(lab.set(leader, 'k', 'v')).toMatchObject({ ok: true });
    lab.crash(name);
    lab.host(name).disk = old;
    lab.start(name);
    expect(lab.run(3000, () => lab.host(name).up.status().phase === 'stopped')).toBe(true);
    expect(lab.host(name).up.status().stop).toMatchObject({ reason: 'amnesia' });
    lab.cut.clear();
    expect(lab.run(15_000, () => textAt(lab.host(other), 'k') === 'v')).toBe(true);
  });

  it('a member that was started again and again where nobody heard it is no old copy', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    for (const heard of [false, true, false, false, true]) {
      lab.crash('b');
      if (!heard) lab.isolate('b');
      lab.start('b');
      lab.run(heard ? 4000 : 80);
      lab.cut.clear();
    }
    lab.form(10_000);
    expect(lab.set('b', 'k', 'v')).toMatchObject({ ok: true });
  });

  it('a member that loses what it was writing as it is killed is no old copy', () => {
    const lab = Lab.of(3, {}, 7);
    lab.start();
    lab.form();
    for (let ms = 0; ms < 12; ms += 0.4) {
      lab.crash('b');
      lab.start('b');
      lab.run(ms);
    }
    lab.run(5000);
    lab.form(10_000);
    expect(lab.host('b').up.status().stop).toBeNull();
  });

  it('two processes on copies of one disk: the one that nobody knows stops', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const copy = copyOf(lab.host('c').disk);
    const twin = lab.add('d', { expect: 3, seeds: ['a', 'b'], over: { name: 'c' } });
    lab.crash('c');
    lab.start('c');
    lab.form(10_000);
    twin.disk = { ...copy, boot: copy.boot + 5 };
    lab.start('d');
    expect(lab.run(10_000, () => twin.up.status().phase === 'stopped')).toBe(true);
    expect(twin.up.status().stop).toMatchObject({ reason: 'amnesia' });
    lab.run(3000);
    expect(lab.host('c').up.status().stop).toBeNull();
    expect(lab.set('c', 'k', 'v')).toMatchObject({ ok: true });
  });

  it('nobody can make a member believe that it is an old copy: not in words, not by gossip', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const { run, disk } = lab.host('a');
    const { cluster } = lab.host('a').up.status();
    const head = { cluster: cluster!, run: 5, commands: 1, leaseless: false };
    for (const from of [
      { id: memberId('b'.repeat(32)), boot: 3 },
      { id: lab.host('b').disk.uid, boot: lab.host('b').disk.boot },
    ])
      for (const last of [run + 1, runOf(disk.boot + 1, 7), run - 1]) {
        const who = { kind: 'who', both: run, last, proof: 'c'.repeat(32), had: noEnd, address: '10.0.0.9:1' } as const;
        lab.step('a', { kind: 'message', from, bytes: encodeWord(head, who) });
      }
    const claim = {
      ...{ id: disk.uid, boot: disk.boot + 1, incarnation: 0, name: 'a', joining: false },
      metadata: { version: '1', priority: 100, witness: false, admin: '', zone: '' },
    };
    const updates = [{ kind: 'alive', claim: { ...claim, address: '10.0.0.9:1' } }] as const;
    const sender = { id: memberId('b'.repeat(32)), boot: 3, incarnation: 0, score: 0 };
    const bytes = encodeDatagram({ sender, message: { kind: 'gossip' }, updates });
    lab.step('a', { kind: 'datagram', from: '10.0.0.9:1', bytes });
    lab.run(5000);
    expect(lab.running.map(({ up }) => up.status().stop)).toEqual([null, null, null]);
    expect(lab.set('a', 'k', 'v')).toMatchObject({ ok: true });
  });

  it('two members with old copies cannot outvote the third', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const old = new Map([...lab.hosts].map(([name, host]) => [name, copyOf(host.disk)]));
    lab.crash('a', 'b', 'c');
    lab.start();
    lab.form(10_000);
    expect(lab.set('a', 'k', 'v')).toMatchObject({ ok: true });
    lab.run(1000);
    lab.crash('a', 'b', 'c');
    for (const name of 'ab') lab.host(name).disk = old.get(name)!;
    lab.start('c');
    lab.run(2000);
    lab.start('a', 'b');
    lab.run(10_000);
    for (const name of 'ab') expect(lab.host(name).up.status().stop).toMatchObject({ reason: 'amnesia' });
    expect(textAt(lab.host('c'), 'k') === null || textAt(lab.host('c'), 'k') === 'v').toBe(true);
    expect(lab.leader).toBeNull();
  });

  it('who says that a member was removed is believed only by a majority of the voters that it knows', () => {
    const lab = Lab.of(5);
    lab.start();
    lab.form();
    const { run } = lab.host('a');
    const { cluster } = lab.host('a').up.status();
    const away = { kind: 'away', why: 'removed', both: run } as const;
    const say = (from: PeerName, number: number): void => {
      const head = { cluster: cluster!, run: number, commands: 1, leaseless: false };
      lab.step('a', { kind: 'message', from, bytes: encodeWord(head, away) });
      lab.run(50);
    };
    const voter = (name: string): void => {
      const { disk, run: both } = lab.host(name);
      say({ id: disk.uid, boot: disk.boot }, both - runOf(disk.boot, 0));
    };
    for (let n = 0; n < 9; n++) say({ id: memberId(`${n}`.repeat(32)), boot: 1 }, 3);
    voter('b');
    voter('c');
    voter('b');
    lab.run(3000);
    expect(lab.host('a').up.status().stop).toBeNull();
    voter('d');
    expect(lab.host('a').up.status().stop).toMatchObject({ reason: 'removed' });
  });

  it('a member that was removed while it was away learns it from the others, and stops', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const away = lab.followers()[0]!.name;
    lab.crash(away);
    lab.run(8000);
    const leader = lab.leader!.name;
    expect(lab.answer(leader, { kind: 'change', change: 'remove', member: away }, 20_000)).toMatchObject({ ok: true });
    lab.run(1000);
    lab.start(away);
    expect(lab.run(20_000, () => lab.host(away).up.status().phase === 'stopped')).toBe(true);
    expect(lab.host(away).up.status().stop).toMatchObject({ reason: 'removed' });
  });

  it('late words of an earlier run harm nobody', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const from = { id: lab.host('b').disk.uid, boot: lab.host('b').disk.boot };
    lab.crash('b');
    lab.start('b');
    lab.form(10_000);
    const { cluster } = lab.host('a').up.status();
    const head = { cluster: cluster!, run: 1, commands: 1, leaseless: false };
    lab.step('a', { kind: 'message', from, bytes: encodeWord(head, { kind: 'cluster', leader: '' }) });
    lab.run(2000);
    expect(lab.host('a').up.status().refused.get('amnesia')).toBe(1);
    expect(lab.host('b').up.status().phase).toBe('running');
  });

  it('a new uid under the name and address of a dead voter takes its seat once it has caught up', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    expect(lab.set('a', 'k', 'v')).toMatchObject({ ok: true });
    const before = lab.host('c').disk.uid;
    lab.loseDisk('c');
    lab.start('c');
    const seated = (): boolean => {
      const { config } = lab.host('a').up.status().raft!;
      return config.voters.includes(lab.host('c').disk.uid) && !config.voters.includes(before);
    };
    expect(lab.run(60_000, seated)).toBe(true);
    lab.form(5000);
    expect(textAt(lab.host('c'), 'k')).toBe('v');
    expect(lab.host('c').up.status().raft?.config).toMatchObject({ learners: [] });
  });

  it('a new uid under a living member’s name is refused, and both sides say so', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const twin = lab.add('d', { expect: 3, seeds: ['a', 'b'], over: { name: 'b' } });
    lab.start('d');
    lab.run(10_000);
    expect(lab.host('a').up.status().raft?.config.learners).toEqual([]);
    expect(twin.up.status().phase).toBe('joining');
    expect(twin.notes.join()).toContain('another living member is called b');
    const said = lab.running.flatMap(({ notes }) => notes).join();
    expect(said).toContain('refused a member');
  });

  it('words of another cluster are refused, and shown as a split', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const head = { cluster: 'f'.repeat(32), run: 1, commands: 1, leaseless: false };
    const from = { id: 'e'.repeat(32) as never, boot: 1 };
    lab.step('a', { kind: 'message', from, bytes: encodeWord(head, { kind: 'cluster', leader: '' }) });
    lab.run(10);
    expect(lab.host('a').up.status()).toMatchObject({ state: 'SPLIT_BRAIN' });
    expect(lab.host('a').up.status().refused.get('another cluster')).toBe(1);
    lab.step('b', { kind: 'foreign', from: '10.9.9.9:7946' });
    expect(lab.host('b').up.status()).toMatchObject({ state: 'SPLIT_BRAIN' });
    expect(lab.run(70_000, () => lab.host('a').up.status().state === 'STABLE')).toBe(true);
  });

  it('every word after the first carries the cluster’s id', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const { cluster } = lab.host('a').up.status();
    const a = lab.host('a').up;
    a.step(lab.now + 300, { kind: 'tick' });
    const words = a.take().messages.map(({ bytes }) => decodeWord(bytes, { id: lab.host('a').disk.uid, boot: 1 }));
    for (const word of words) expect(word).toMatchObject({ ok: true, value: { head: { cluster } } });
  });
});
