import { describe, expect, it } from 'vitest';
import { addressOf, type Host, Lab, textAt } from './lab.ts';

const clusters = (lab: Lab): Set<string | null> => new Set(lab.running.map(({ up }) => up.status().cluster));
const reasonOf = (host: Host): string => host.up.status().reason;

/** Until it has promised, and nobody has formed yet; then everything stops. */
function promised(lab: Lab, ...names: string[]): void {
  const have = (name: string): boolean => lab.host(name).disk.facts['promise'] !== undefined;
  expect(lab.run(5000, () => names.every(have))).toBe(true);
  expect([...lab.hosts.values()].every((host) => host.disk.facts['cluster'] === undefined)).toBe(true);
}

describe('7.1 the first quorum', () => {
  it('three members form one cluster within 3 s, in whatever order they start', () => {
    for (const order of ['abc', 'cba', 'bac', 'cab']) {
      const lab = Lab.of(3);
      for (const name of order) {
        lab.start(name);
        lab.run(300);
      }
      lab.form();
      expect(clusters(lab).size).toBe(1);
      for (const { up } of lab.running) expect(up.status().raft?.config.voters).toHaveLength(3);
      expect(lab.set('a', 'k', order)).toMatchObject({ ok: true });
      expect(lab.run(1000, () => lab.running.every((host) => textAt(host, 'k') === order))).toBe(true);
    }
  });

  it('two of three never form one: they say for whom they wait', () => {
    const lab = Lab.of(3);
    lab.start('a', 'b');
    lab.run(20_000);
    for (const host of lab.running) expect(host.up.status()).toMatchObject({ cluster: null, state: 'FORMING' });
    expect(reasonOf(lab.host('a'))).toContain(addressOf('c'));
    expect(lab.answer('a', { kind: 'read', need: 'current' })).toMatchObject({ error: { kind: 'no-quorum' } });
    lab.start('c');
    lab.form();
  });

  it('six members with expect 3: three form it, three join as learners, and there is never a second one', () => {
    const lab = new Lab();
    for (const name of 'abc') lab.add(name, { expect: 3, seeds: [...'abc'].filter((one) => one !== name) });
    for (const name of 'def') lab.add(name, { expect: 3, seeds: ['a', 'b'] });
    lab.start('d', 'e', 'f');
    lab.run(5000);
    expect(clusters(lab)).toEqual(new Set([null]));
    lab.start('a', 'b', 'c');
    const whole = (): boolean =>
      lab.running.every(({ up }) => up.status().raft?.config.learners.length === 3 && up.status().phase === 'running');
    expect(lab.run(15_000, whole)).toBe(true);
    expect(clusters(lab).size).toBe(1);
    const voters = new Set(lab.host('d').up.status().raft?.config.voters);
    expect(voters).toEqual(new Set([...'abc'].map((name) => lab.host(name).disk.uid)));
  });

  it('members that know other first voters promise nothing, and say whose differ', () => {
    const lab = new Lab();
    lab.add('a', { expect: 3, seeds: ['b', 'c'] });
    lab.add('b', { expect: 3, seeds: ['a', 'c'] });
    lab.add('c', { expect: 3, seeds: ['a', 'd'] });
    lab.start();
    lab.run(10_000);
    expect(reasonOf(lab.host('a'))).toContain('has other first voters');
    for (const host of lab.running) expect(Object.keys(host.disk.facts)).toEqual(['runs']);
  });

  it('two of one name promise nothing, and all say who they are; under another name it is formed', () => {
    const lab = new Lab();
    const others = (name: string): string[] => [...'abc'].filter((one) => one !== name);
    for (const name of 'ab') lab.add(name, { expect: 3, seeds: others(name) });
    lab.add('c', { expect: 3, seeds: others('c'), over: { name: 'b' } });
    lab.start();
    lab.run(10_000);
    expect(clusters(lab)).toEqual(new Set([null]));
    for (const host of lab.running) {
      expect(reasonOf(host)).toMatch(/two first voters are called b, at .* and at .*: give each a name of its own/);
      expect(Object.keys(host.disk.facts)).toEqual(['runs']);
    }
    lab.crash('c');
    const { name: _, ...options } = lab.host('c').options;
    lab.host('c').options = options;
    lab.start('c');
    lab.form();
    expect(clusters(lab).size).toBe(1);
  });

  it('a number of addresses other than expect stops the member, with the reason', () => {
    const lab = new Lab();
    lab.add('a', { expect: 3, seeds: ['b', 'a'] });
    lab.start('a');
    expect(lab.host('a').effects).toContainEqual(expect.objectContaining({ kind: 'stop', reason: 'first-voters' }));
    expect(lab.host('a').up.status().stop?.why).toContain('expect is 3');
    expect(lab.host('a').up.wakeAt()).toBe(Number.POSITIVE_INFINITY);
  });

  it('a set that changed after a promise stops the member, and names the way out', () => {
    const lab = Lab.of(3);
    lab.start();
    promised(lab, 'a');
    lab.crash('a', 'b', 'c');
    lab.host('a').options = { cluster: { expect: 3, seeds: [addressOf('b'), addressOf('d')] } };
    lab.start('a');
    expect(lab.host('a').up.status().stop).toMatchObject({ reason: 'first-voters' });
    expect(lab.host('a').up.status().stop?.why).toContain('empty data folder');
  });

  it('a promise outlives a restart, and the cluster forms', () => {
    const lab = Lab.of(3);
    lab.start();
    promised(lab, 'a', 'b', 'c');
    lab.crash('a', 'b', 'c');
    lab.start();
    lab.form();
  });

  it('a first voter that lost its disk after the promises is not counted: nobody promises twice', () => {
    const lab = Lab.of(3);
    lab.start();
    promised(lab, 'a', 'b');
    lab.loseDisk('c');
    lab.start('c');
    lab.run(20_000);
    expect(clusters(lab)).toEqual(new Set([null]));
    for (const host of lab.running) expect(reasonOf(host)).toContain('empty data folders');
  });

  it('a cluster is not formed again while one first voter remembers it', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const { cluster } = lab.host('a').up.status();
    lab.loseDisk('b');
    lab.loseDisk('c');
    lab.crash('a');
    lab.start('b', 'c');
    lab.run(10_000);
    expect(clusters(lab)).toEqual(new Set([null]));
    lab.start('a');
    lab.run(10_000);
    expect(clusters(lab)).toEqual(new Set([cluster]));
    for (const name of 'bc') expect(lab.host(name).up.status().phase).toBe('joining');
  });

  it('one that formed it while another had not heard all promises: the other is a first voter all the same', () => {
    const lab = Lab.of(3);
    lab.start();
    promised(lab, 'a', 'b', 'c');
    lab.part('b', 'c');
    expect(lab.run(5000, () => lab.host('a').up.status().cluster !== null)).toBe(true);
    expect(lab.run(5000, () => clusters(lab).size === 1)).toBe(true);
    lab.cut.clear();
    lab.form();
  });

  it('a cluster of one that gets cluster: keeps its state, and the others join it and vote', () => {
    const lab = new Lab();
    lab.add('a', { expect: 0, seeds: [] });
    lab.start('a');
    lab.form();
    expect(lab.set('a', 'kept', 'yes')).toMatchObject({ ok: true });
    lab.crash('a');
    lab.host('a').options = { cluster: { expect: 3, seeds: [addressOf('b'), addressOf('c')] } };
    lab.add('b', { expect: 3, seeds: ['a', 'c'] });
    lab.add('c', { expect: 3, seeds: ['a', 'b'] });
    lab.start();
    lab.form(15_000);
    for (const host of lab.running) expect(textAt(host, 'kept')).toBe('yes');
    expect(lab.host('c').up.status().raft?.config.voters).toHaveLength(3);
  });
});
