/** Short words for the tests of this room. */
import type { LoadedConfig } from '../../src/config/load.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Config, Problem, RouteConfig } from '../../src/config/model.ts';

export type Env = Readonly<Record<string, string>>;

export const read = (text: string, env: Env = {}) => loadConfig(text, { file: 'c.yaml', env });

/** Of a text that must load. */
export function loaded(text: string, env: Env = {}): LoadedConfig {
  const result = read(text, env);
  if (!result.ok) throw new Error(`must load:\n${result.error.map(line).join('\n')}\n${text}`);
  return result.value;
}

export const config = (text: string, env: Env = {}): Config => loaded(text, env).config;

/** Of a text that must not load. */
export function faults(text: string, env: Env = {}): readonly Problem[] {
  const result = read(text, env);
  if (result.ok) throw new Error(`must not load:\n${text}`);
  return result.error;
}

/** `3:5 path: message | hint` */
export const line = ({ line, column, path, message, hint }: Problem): string =>
  `${line}:${column} ${path}: ${message}${hint === null ? '' : ` | ${hint}`}`;

export const lines = (text: string, env: Env = {}): string[] => faults(text, env).map(line);
export const warnings = (text: string): string[] => loaded(text).warnings.map(line);

/** The least pool, for texts that are about something else. */
export const pools = 'pools: { app: { nodes: [http://127.0.0.1:3000] } }\n';

/** A pool named app with this in it, each line indented by four. */
export const pool = (...body: string[]): string =>
  [
    'pools:',
    '  app:',
    '    nodes: [http://10.0.0.1:3000, http://10.0.0.2:3000]',
    ...body.map((one) => `    ${one}`),
    '',
  ].join('\n');

/** Two pools, app and api, with these routes, each a flow map. */
export const routes = (...list: string[]): string =>
  [
    'pools:',
    '  app: { nodes: [http://10.0.0.1:3000] }',
    '  api: { nodes: [http://10.0.0.2:3000] }',
    'routes:',
    ...list.map((one) => `  - ${one}`),
    '',
  ].join('\n');

/** The first of these routes, once loaded; both pools are used, so that nothing warns. */
export function route(one: string): RouteConfig {
  const first = config(routes(one, '{ exact: /to-api, pool: api }', '{ exact: /to-app, pool: app }')).routes[0];
  if (!first) throw new Error('no route');
  return first;
}
