import { describe, expect, it } from 'vitest';
import { describeChanges, needsRestart } from '../../src/app/changes.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/model.ts';

function config(text: string): Config {
  const loaded = loadConfig(text, { file: 'config.yaml', env: {} });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  return loaded.value.config;
}

const base = `
listen: 127.0.0.1:8080
pools:
  app: { nodes: [http://10.0.0.1:80, { url: http://10.0.0.2:80, weight: 2 }], balance: round-robin }
  api: { nodes: [http://10.0.0.3:80] }
routes:
  - { name: one, path: /api/, pool: api }
  - { name: two, pool: app }
`;
const changed = (...edits: readonly (readonly [string, string])[]): string[] => {
  const text = edits.reduce((whole, [from, to]) => {
    expect(whole).toContain(from);
    return whole.replace(from, to);
  }, base);
  return describeChanges(config(base), config(text));
};

describe('what a reload changes, in words', () => {
  it('is nothing for the same config', () => {
    expect(describeChanges(config(base), config(base))).toEqual([]);
  });

  it('names nodes and settings of a pool', () => {
    expect(changed(['weight: 2', 'weight: 3'])).toEqual(['pool app: node 10.0.0.2:80: changed']);
    expect(changed(['http://10.0.0.1:80', 'http://10.0.0.9:80'], ['round-robin', 'random-two'])).toEqual([
      'pool app: node 10.0.0.9:80 added, node 10.0.0.1:80 removed, balance',
    ]);
  });

  it('names pools, routes, listeners and the rest', () => {
    expect(changed(['127.0.0.1:8080', '127.0.0.1:8081'])).toEqual([
      'listener 127.0.0.1:8081 added',
      'listener 127.0.0.1:8080 removed',
    ]);
    expect(changed(['path: /api/', 'path: /apis/'])).toEqual(['route one: changed']);
    expect(changed(['routes:', 'workers: 3\nroutes:'])).toEqual(['workers']);
  });

  it('tells that only the order differs', () => {
    const nodes = '[http://10.0.0.1:80, { url: http://10.0.0.2:80, weight: 2 }]';
    const turned = '[{ url: http://10.0.0.2:80, weight: 2 }, http://10.0.0.1:80]';
    expect(changed([nodes, turned])).toEqual(['pool app: order of nodes']);
    const routes = '  - { name: one, path: /api/, pool: api }\n  - { name: two, pool: app }\n';
    const swapped = '  - { name: two, pool: app }\n  - { name: one, path: /api/, pool: api }\n';
    expect(changed([routes, swapped])).toEqual(['order of routes']);
  });

  it('counts nodes where they are many', () => {
    const many = Array.from({ length: 30 }, (_, i) => `http://10.0.1.${i}:80`).join(', ');
    expect(changed(['nodes: [http://10.0.0.3:80]', `nodes: [${many}]`])).toEqual([
      'pool api: 31 nodes added, changed or removed',
    ]);
  });
});

describe('what needs a restart', () => {
  const member = 'cluster: { member: a, address: 127.0.0.1:7946, expect: 1 }';
  const needs = (from: string, to: string): string[] => needsRestart(config(base + from), config(base + to));

  it('is who a member is in the cluster, and where that is kept; its keys and what it tells of itself are not', () => {
    expect(needs(member, member)).toEqual([]);
    expect(needs(member, member.replace('member: a', 'member: b, priority: 7'))).toEqual([
      expect.stringMatching(/^cluster\.member was changed: restart/),
      expect.stringMatching(/^cluster\.priority was changed: restart/),
    ]);
    const [one, two] = [1, 2].map((n) => Buffer.alloc(32, n).toString('base64'));
    const keyed = (key: string): string => member.replace('member: a', `member: a, key: ${key}`);
    expect(needs(member, member.replace('member: a', 'member: a, zone: x'))).toEqual([]);
    expect(needs(keyed(`${one}`), keyed(`[${two}, ${one}]`))).toEqual([]);
    for (const [from, to] of [[member, keyed(`${one}`)] as const, [keyed(`${one}`), member] as const])
      expect(needs(from, to)).toEqual([expect.stringMatching(/^cluster\.key was changed: restart/)]);
    expect(needs(member, `dataDir: /d\n${member}`)).toEqual([expect.stringMatching(/^dataDir was changed: restart/)]);
  });

  it('is a cluster that comes or goes', () => {
    expect(needs('', member)).toEqual([expect.stringMatching(/^cluster was added: restart/)]);
    expect(needs(member, '')).toEqual([expect.stringMatching(/^cluster was removed: restart/)]);
  });

  it('is not where the data of no cluster would be', () => {
    expect(needs('', 'dataDir: /d')).toEqual([]);
  });
});
