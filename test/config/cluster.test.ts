import { describe, expect, it } from 'vitest';
import { renderConfig } from '../../src/config/print.ts';
import { problemLine } from '../../src/config/render-problems.ts';
import { config, faults, lines, loaded, pools, warnings } from './helper.ts';

const secret = (n: number): string => Buffer.alloc(32, n).toString('base64');

/** Three members, this one of 10.0.1.10, with these keys put in or replaced. */
const three = (change: Readonly<Record<string, unknown>> = {}): string => {
  const cluster = {
    member: 'node-1',
    address: '10.0.1.10:7946',
    seeds: ['10.0.1.11:7946', '10.0.1.12:7946'],
    expect: 3,
    key: secret(1),
    ...change,
  };
  return `${pools}cluster: ${JSON.stringify(cluster)}\n`;
};

describe('cluster', () => {
  it('is absent unless the file has it', () => {
    expect(config(pools).cluster).toBeNull();
    expect(config(pools).dataDir).toBe('./data');
  });

  it('fills in what is left out', () => {
    expect(config(three()).cluster).toEqual({
      member: 'node-1',
      address: '10.0.1.10:7946',
      seeds: ['10.0.1.11:7946', '10.0.1.12:7946'],
      expect: 3,
      key: [secret(1)],
      priority: 100,
      witness: false,
      zone: '',
      mode: 'multi-master',
    });
    expect(loaded(three()).warnings).toEqual([]);
  });

  it('writes the same place the same way', () => {
    const seeds = ['Node-2.Example:7946', '[FD00::2]:7946'];
    expect(config(three({ seeds })).cluster?.seeds).toEqual(['node-2.example:7946', '[fd00::2]:7946']);
  });

  it('counts an own address among the seeds once', () => {
    const seeds = ['10.0.1.10:7946', '10.0.1.11:7946', '10.0.1.12:7946'];
    expect(config(three({ seeds })).cluster?.expect).toBe(3);
  });

  it('needs exactly the first voters', () => {
    expect(lines(three({ expect: 5 }))).toEqual([
      expect.stringContaining('expect is 5, but address and seeds are 3 members: 10.0.1.10:7946, 10.0.1.11:7946'),
    ]);
  });

  it('needs a key off loopback, and on it none', () => {
    expect(lines(three({ key: [] }))).toEqual([expect.stringContaining('could speak as a member | set cluster.key')]);
    const local = { address: '127.0.0.1:1', seeds: ['127.0.0.1:2', '[::1]:3'], key: [] };
    expect(config(three(local)).cluster?.key).toEqual([]);
  });

  it('takes several keys, as base64, base64url or digits', () => {
    const key = [secret(1), Buffer.alloc(32, 250).toString('base64url'), 'ab'.repeat(32)];
    expect(config(three({ key })).cluster?.key).toEqual(key);
    expect(lines(three({ key: [secret(1), secret(1)] }))).toEqual([expect.stringContaining('a key is there twice')]);
    const nine = Array.from({ length: 9 }, (_, n) => secret(n));
    expect(lines(three({ key: nine }))).toEqual([expect.stringContaining('there are 9 keys; at most 8')]);
  });

  it('says what an even number of members cannot survive', () => {
    const told = (count: number): string[] => {
      const seeds = Array.from({ length: count - 1 }, (_, n) => `10.0.1.${n + 11}:7946`);
      return warnings(three({ seeds, expect: count }));
    };
    expect([1, 3, 5, 7].flatMap(told)).toEqual([]);
    expect(told(2)).toEqual([expect.stringMatching(/2 members survives the loss of none.*add a witness/)]);
    expect(told(4)).toEqual([expect.stringMatching(/4 members survives the loss of 1, .*set expect to 3 or 5/)]);
  });

  it('and a listener cannot have one address', () => {
    const text = three().replace(pools, `${pools}listen: 10.0.1.10:7946\n`);
    expect(lines(text)).toEqual([expect.stringContaining("10.0.1.10:7946 is a listener's or the admin API's")]);
  });

  it('says what is lost with one machine', () => {
    const at = (...hosts: string[]): string[] => {
      const [address, ...seeds] = hosts.map((host, n) => `${host}:${7946 + n}`);
      return warnings(three({ address, seeds, expect: hosts.length }));
    };
    const told = (count: string) => [
      expect.stringMatching(new RegExp(`${count} members are at 10\\.0\\.1\\.1: .* lost`)),
    ];
    expect(at('10.0.1.1', '10.0.1.1', '10.0.1.1')).toEqual(told('all 3'));
    expect(at('10.0.1.1', '10.0.1.2', '10.0.1.1')).toEqual(told('2 of 3'));
    expect(at('10.0.1.1', '10.0.1.2', '10.0.1.1', '10.0.1.3', '10.0.1.4')).toEqual([]);
    expect(at('127.0.0.1', '127.0.0.1', '127.0.0.1')).toEqual([]);
  });
});

describe('a witness', () => {
  const witness = (more = ''): string => `${more}${three({ witness: true }).replace(pools, '')}`;

  it('has no listeners, no pools and no routes', () => {
    expect(config(witness())).toMatchObject({ listen: [], pools: [], routes: [], cluster: { witness: true } });
    expect(loaded(witness()).warnings).toEqual([]);
    expect(config(renderConfig(loaded(witness())).replace('"<redacted>"', secret(1)))).toEqual(config(witness()));
  });

  it('is told what it has no use for', () => {
    const given = 'listen: ":1"\npools: { app: { nodes: [http://a] } }\nroutes: [{ pool: app }]\n';
    expect(lines(witness(given)).map((one) => one.split(' which')[0])).toEqual([
      '1:1 listen: listen has no effect on a witness,',
      '2:10 pools.app: pool app has no effect on a witness,',
      '3:1 routes: routes has no effect on a witness,',
    ]);
  });

  it('is the only one that needs no pools', () => {
    expect(lines(three().replace(pools, ''))).toEqual([expect.stringContaining('pools is missing')]);
  });
});

describe('a key of a cluster', () => {
  it.each([
    ['short', '  key: c2hvcnQga2V5'],
    ['in a flow map', 'x'],
    ['of a list', '    - c2hvcnQga2V5'],
  ])('%s is in no message', (kind, line) => {
    const start = `${pools}cluster:\n  member: a\n  address: 127.0.0.1:1\n  expect: 1\n`;
    const flow = `${pools}cluster: { member: a b, address: 127.0.0.1:1, expect: 1, key: [c2hvcnQga2V5, "x"] }\n`;
    const text = kind === 'in a flow map' ? flow : `${start}${kind === 'of a list' ? '  key:\n' : ''}${line}\n`;
    const found = faults(text);
    expect(found.length).toBeGreaterThan(0);
    for (const problem of found) expect(JSON.stringify(problem) + problemLine(problem)).not.toContain('c2hvcn');
  });

  it('is in no message about something else on its line', () => {
    const found = faults(`clutser: { key: ${secret(7)} }\n${pools}`);
    expect(JSON.stringify(found)).not.toContain(secret(7));
  });

  it('is not printed', () => {
    const text = renderConfig(loaded(three({ key: [secret(1), secret(2)] })));
    expect(text).not.toContain(secret(1).slice(0, 10));
    expect(text.match(/- "<redacted>"/g)).toHaveLength(2);
  });
});

describe('variables of older deployments', () => {
  const env = {
    CLUSTER_NODE_ID: 'n7',
    CLUSTER_ADDRESS: '10.9.0.1',
    CLUSTER_PORT: '7000',
    CLUSTER_SEED_NODES: '10.9.0.2:7000, 10.9.0.3:7000',
    CLUSTER_NODE_PRIORITY: '7',
  };

  it('override their keys', () => {
    expect(config(three(), env).cluster).toMatchObject({
      member: 'n7',
      address: '10.9.0.1:7000',
      seeds: ['10.9.0.2:7000', '10.9.0.3:7000'],
      priority: 7,
    });
  });

  it('are enough together with what has no variable', () => {
    const text = `${pools}cluster: { expect: 3, key: ${secret(1)} }\n`;
    expect(config(text, env).cluster).toMatchObject({ member: 'n7', address: '10.9.0.1:7000', priority: 7 });
  });

  it.each([
    [{ CLUSTER_ADDRESS: '10.9.0.1' }, '10.9.0.1:7946'],
    [{ CLUSTER_PORT: '7000' }, '10.0.1.10:7000'],
    [{ CLUSTER_ADDRESS: '10.9.0.1:1234' }, '10.9.0.1:1234'],
    [{ CLUSTER_ADDRESS: 'fd00::9', CLUSTER_PORT: '7000' }, '[fd00::9]:7000'],
    [{ CLUSTER_ADDRESS: '' }, '10.0.1.10:7946'],
  ])('%j changes its part of the address', (some, address) => {
    expect(config(three(), some as Record<string, string>).cluster?.address).toBe(address);
  });

  it('make no cluster where the file has none', () => {
    expect(config(pools, env).cluster).toBeNull();
  });

  it('are shown as where a value came from', () => {
    const text = renderConfig(loaded(three(), env));
    expect(text).toMatch(/member: n7 +# env CLUSTER_NODE_ID\n/);
    expect(text).toMatch(/address: 10\.9\.0\.1:7000 +# env CLUSTER_ADDRESS, CLUSTER_PORT\n/);
    expect(text).toMatch(/- 10\.9\.0\.3:7000 +# env CLUSTER_SEED_NODES\n/);
    expect(text).toMatch(/priority: 7 +# env CLUSTER_NODE_PRIORITY\n/);
    expect(text).toMatch(/expect: 3 +# c\.yaml:2\n/);
  });

  it('are named when they are wrong', () => {
    expect(lines(three(), { CLUSTER_PORT: 'x' })).toEqual([
      expect.stringContaining('cluster.address: address (from CLUSTER_PORT) is not host:port'),
    ]);
    expect(lines(three(), { CLUSTER_NODE_PRIORITY: '-1' })).toEqual([
      expect.stringContaining('priority (from CLUSTER_NODE_PRIORITY) must be a whole number'),
    ]);
  });
});

describe('dataDir', () => {
  it('is what the file says, else what systemd says, else ./data', () => {
    const env = { STATE_DIRECTORY: '/var/lib/evenkeel:/var/lib/other' };
    expect(config(three(), env).dataDir).toBe('/var/lib/evenkeel');
    expect(config(`dataDir: /d\n${three()}`, env).dataDir).toBe('/d');
    expect(renderConfig(loaded(three(), env))).toMatch(/dataDir: \/var\/lib\/evenkeel +# env STATE_DIRECTORY/);
    expect(renderConfig(loaded(three()))).toMatch(/dataDir: "?\.\/data"? +# default/);
  });

  it('in a file without a cluster is told to do nothing', () => {
    expect(warnings(`dataDir: /d\n${pools}`)).toEqual([expect.stringContaining('no effect without cluster')]);
    expect(loaded(pools, { STATE_DIRECTORY: '/d' }).warnings).toEqual([]);
  });
});
