import { describe, expect, it } from 'vitest';
import { decodeWord, encodeWord } from '../../../src/cluster/member/codec.ts';
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
