/** evenkeel as users run it: metrics, health checks and the admin API are on. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { hostOf } from '../contract.ts';
import { firstWeight, type Recipe, type Stand } from './recipe.ts';

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));

export function evenkeel(stand: Stand): Recipe {
  const { setup, folder, certificate } = stand;
  const address = `127.0.0.1:${stand.port}`;
  const nodes = stand.nodes.map((node, index) => ({
    id: `node-${index}`,
    url: node.startsWith('unix:') ? node : `http://${node}`,
    weight: index === 0 ? firstWeight(stand) : 1,
  }));
  const config = {
    listen: certificate === null ? address : [{ address, tls: { cert: certificate.cert, key: certificate.key } }],
    workers: setup.workers,
    // Its default of 1024 requests at once per node would refuse a crowd that its peers let in.
    pools: {
      app: {
        nodes,
        limits: { maxConnections: stand.connections },
        upstream: setup.pipelining === 1 ? undefined : { pipelining: setup.pipelining },
      },
    },
    routes:
      setup.routes === 0
        ? undefined
        : Array.from({ length: setup.routes }, (_, route) => ({ host: hostOf(route), pool: 'app' })),
    admin: `127.0.0.1:${stand.adminPort}`,
    log: setup.accessLog
      ? { level: 'warn', access: 'combined', accessFile: join(folder, 'access.log') }
      : { level: 'warn', access: 'off' },
    shutdown: { deadline: '1s' },
  };
  return {
    files: { 'config.yaml': stringify(config, { keepUndefined: false }) },
    command: { file: stand.program, args: [main, 'run', '-c', join(folder, 'config.yaml')] },
    reload: 'SIGHUP',
  };
}
