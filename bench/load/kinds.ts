/** The proxies that are compared: what they are called, where they are on this machine, how they are started. */
import { readFileSync } from 'node:fs';
import type { ProxyName } from './contract.ts';
import { find, versionOf } from './machine.ts';
import { caddy } from './recipes/caddy.ts';
import { evenkeel } from './recipes/evenkeel.ts';
import { haproxy } from './recipes/haproxy.ts';
import { nginx } from './recipes/nginx.ts';
import type { Recipe, Stand } from './recipes/recipe.ts';
import { httpProxy3, undici } from './recipes/reference.ts';

export interface Kind {
  readonly name: ProxyName;
  /** As in tables. */
  readonly title: string;
  /** What is run; null: absent from this machine. */
  readonly program: string | null;
  readonly version: string;
  readonly recipe: (stand: Stand) => Recipe;
  /** Whether it accepts upgrades. */
  readonly upgrades: boolean;
}

const node = process.execPath;
const versionIn = (file: string): string =>
  (JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as { version: string }).version;
const packageVersion = (name: string): string => versionIn(`../../node_modules/${name}/package.json`);

function server(name: ProxyName, title: string, versionFlag: string, recipe: Kind['recipe']): Kind {
  const program = find(name);
  const version = program === null ? 'absent' : versionOf(program, versionFlag);
  return { name, title, program, version, recipe, upgrades: true };
}

export function kinds(): readonly Kind[] {
  return [
    {
      name: 'evenkeel',
      title: 'evenkeel, 1 worker',
      program: node,
      version: versionIn('../../package.json'),
      recipe: evenkeel,
      upgrades: true,
    },
    server('nginx', 'nginx, 1 worker', '-v', nginx),
    server('haproxy', 'HAProxy, 1 thread', '-v', haproxy),
    server('caddy', 'Caddy, GOMAXPROCS=1', 'version', caddy),
    {
      name: 'http-proxy-3',
      title: 'http-proxy-3 over node:http',
      program: node,
      version: packageVersion('http-proxy-3'),
      recipe: httpProxy3,
      upgrades: true,
    },
    {
      name: 'undici',
      title: 'node:http + undici',
      program: node,
      version: packageVersion('undici'),
      recipe: undici,
      upgrades: false,
    },
  ];
}
