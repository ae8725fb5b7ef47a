import { describe, expect, it } from 'vitest';
import { type Preset, presetDefaults, presets } from '../../src/config/preset.ts';
import { renderConfig } from '../../src/config/print.ts';
import { config, lines, loaded, pools, warnings } from './helper.ts';

const secret = Buffer.alloc(32, 1).toString('base64');

/** A member of as many as the preset is for, which leaves `expect` open. */
function member(preset: Preset, change: Readonly<Record<string, unknown>> = {}): string {
  const count = Number(presetDefaults[preset].cluster['expect']);
  const seeds = Array.from({ length: count - 1 }, (_, n) => `10.0.1.${n + 11}:7946`);
  const cluster = { member: 'n1', address: '10.0.1.10:7946', seeds, key: secret, zone: 'a', ...change };
  return `preset: ${preset}\n${pools}cluster: ${JSON.stringify(cluster)}\n`;
}

const health = (text: string) => config(text).pools[0]!.health;

describe('a preset', () => {
  it.each(presets)('%s makes a whole config of a member that says only who it is', (preset) => {
    const { cluster, pools: made } = config(member(preset));
    expect(cluster?.expect).toBe(Number(presetDefaults[preset].cluster['expect']));
    expect(made[0]!.health).toMatchObject({ kind: 'tcp', fall: Number(presetDefaults[preset].health['fall']) });
    expect(loaded(member(preset)).warnings).toEqual([]);
  });

  it('yields to the file, and the file to the environment', () => {
    const text = member('full-ha', { seeds: ['10.0.1.11:7946'], expect: 2 });
    expect(config(text).cluster?.expect).toBe(2);
    expect(config(member('full-ha', { seeds: [] }), { CLUSTER_EXPECT: '1' }).cluster?.expect).toBe(1);
    const app = 'preset: development\npools: { app: { nodes: [http://a], health: { path: /up, interval: 7s } } }\n';
    expect(health(app)).toMatchObject({ kind: 'http', path: '/up', interval: 7000, timeout: 500, fall: 2, rise: 1 });
  });

  it('makes no section', () => {
    expect(config(`preset: development\n${pools}`).cluster).toBeNull();
    const off = 'preset: full-ha\npools: { app: { nodes: [http://a], health: off } }\n';
    expect(health(off)).toBeNull();
    expect(config(`preset: development\n${pools}`).pools[0]!.failover).toBeNull();
  });

  it('fills in failover, in its short form as well', () => {
    const app = (failover: string): string =>
      `preset: development\npools: { app: { nodes: [http://a, http://b], failover: ${failover} } }\n`;
    const filled = { failureThreshold: 2, recoveryWait: 5000 };
    expect(config(app('manual')).pools[0]!.failover).toMatchObject({ mode: 'manual', ...filled });
    expect(config(app('{ mode: manual, failureThreshold: 4 }')).pools[0]!.failover).toMatchObject({
      ...{ mode: 'manual', failureThreshold: 4, recoveryWait: 5000 },
    });
    const env = { FAILOVER_FAILURE_THRESHOLD: '9' };
    expect(config(app('manual'), env).pools[0]!.failover).toMatchObject({ failureThreshold: 9, recoveryWait: 5000 });
  });

  it('is shown where a value came from it, and what is printed loads to the same', () => {
    const text = member('full-ha');
    const printed = renderConfig(loaded(text));
    expect(printed).toMatch(/^preset: full-ha +# c\.yaml:1\n/);
    expect(printed).toMatch(/expect: 3 +# preset full-ha\n/);
    expect(printed).toMatch(/interval: 1s +# preset full-ha\n/);
    expect(printed).toMatch(/kind: tcp +# default\n/);
    expect(printed).toMatch(/jitter: 10% +# default\n/);
    expect(printed).toMatch(/member: n1 +# c\.yaml:3\n/);
    expect(config(printed.replace('"<redacted>"', secret))).toEqual(config(text));
    expect(renderConfig(loaded(text, { CLUSTER_EXPECT: '3' }))).toMatch(/expect: 3 +# env CLUSTER_EXPECT\n/);
  });

  it('is one of four', () => {
    expect(lines(`preset: ha\n${pools}`)).toEqual([
      expect.stringContaining('preset ha is not one of development, simple-failover, full-ha, distributed'),
    ]);
  });

  it('says what does not fit it', () => {
    expect(warnings(`preset: full-ha\n${pools}`)).toEqual([
      expect.stringContaining('there is none: this process alone'),
    ]);
    expect(warnings(`preset: development\n${pools}`)).toEqual([]);
    expect(warnings(member('distributed', { zone: '' }))).toEqual([expect.stringContaining('zone is not set')]);
    const few = { seeds: ['10.0.1.11:7946', '10.0.1.12:7946'], expect: 3 };
    expect(warnings(member('distributed', few))).toEqual([expect.stringContaining('is for 5 members or more')]);
  });
});

describe('variables of a member', () => {
  it('name its zone, its mode and how many there shall be', () => {
    const env = { CLUSTER_ZONE: 'b', CLUSTER_MODE: 'master-slave', CLUSTER_EXPECT: '3' };
    expect(config(member('full-ha'), env).cluster).toMatchObject({ zone: 'b', mode: 'master-slave', expect: 3 });
  });

  it('make a witness of it with the file of the others', () => {
    const others = `listen: ":8080"\nroutes: [{ pool: app }]\n${member('simple-failover')}`;
    const env = { CLUSTER_WITNESS: 'true' };
    expect(config(others, env)).toMatchObject({ listen: [], routes: [], pools: [], cluster: { witness: true } });
    expect(loaded(others, env).warnings).toEqual([]);
    expect(config(others, { CLUSTER_WITNESS: 'false' }).cluster?.witness).toBe(false);
    const failover = others.replace(
      pools,
      'pools: { app: { nodes: [http://a] }, db: { nodes: [http://b, http://c], failover: automatic } }\n',
    );
    expect(config(failover, env).pools.map(({ name }) => name)).toEqual(['db']);
    expect(lines(others, { CLUSTER_WITNESS: 'yes' })).toEqual([
      expect.stringContaining('witness (from CLUSTER_WITNESS)'),
    ]);
  });
});
