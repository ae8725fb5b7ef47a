import { describe, expect, it } from 'vitest';
import { adviceFor, type Machine, thisMachine } from '../../src/cli/advice.ts';
import { loadConfig } from '../../src/config/load.ts';

function config(text: string) {
  const loaded = loadConfig(`pools: { app: { nodes: [http://10.0.0.1:3000] } }\n${text}`, { file: 'c.yaml', env: {} });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  return loaded.value.config;
}

const unknown: Machine = { tcpMigrateReq: null, openFiles: null };

describe('advice about the machine', () => {
  it('says nothing where nothing is known or all is well', () => {
    expect(adviceFor(config(''), unknown)).toEqual([]);
    expect(adviceFor(config(''), { tcpMigrateReq: 1, openFiles: 10_000_000 })).toEqual([]);
  });

  it('tells of too few open files for the connections that the config allows', () => {
    const many = config('limits: { maxConnections: 5000 }');
    const [line, ...more] = adviceFor(many, { ...unknown, openFiles: 10_199 });
    expect(line).toMatch(/^limits\.maxConnections: 5000 may need 10200 open files, .* 10199 here/);
    expect(more).toEqual([]);
    expect(adviceFor(many, { ...unknown, openFiles: 10_200 })).toEqual([]);
  });

  it('recommends tcp_migrate_req, where there is a TCP listener', () => {
    const off: Machine = { ...unknown, tcpMigrateReq: 0 };
    expect(adviceFor(config('listen: :8080'), off)).toEqual([expect.stringContaining('tcp_migrate_req=1')]);
    expect(adviceFor(config('listen: unix:/run/evenkeel.sock'), off)).toEqual([]);
  });

  it('reads this machine without failing', () => {
    const { openFiles, tcpMigrateReq } = thisMachine();
    if (openFiles !== null) expect(openFiles).toBeGreaterThan(0);
    expect([null, 0, 1]).toContain(tcpMigrateReq);
  });
});
