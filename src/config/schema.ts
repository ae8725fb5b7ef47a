/**
 * The YAML's shape, once: it validates, it is config.schema.json (json-schema.ts) and it is docs/CONFIG.md
 * (reference.ts). Each field says its effect; form, default and bounds are data, so that the pages can't lie about them.
 *
 * Defaults stand here in the form in which a user would write them (`prefault`). A key that is not here is a problem:
 * nothing is accepted and ignored. What hangs together across sections is in check.ts.
 */
import * as z from 'zod';
import { cluster, dataDir, preset } from './schema/cluster.ts';
import { pool } from './schema/pool.ts';
import { admin, fields, limits, listen, log, shutdown, timeouts, trustedProxies, workers } from './schema/process.ts';
import { nameForm, nameMessage, route } from './schema/route.ts';
import { section } from './schema/scalars.ts';

export const topLevel = {
  listen,
  workers,
  pools: z
    .record(z.string().regex(nameForm, { error: nameMessage }), pool)
    .describe('Groups of nodes that serve the same thing, by name. At least one, at most 1024.'),
  routes: z
    .array(route)
    .optional()
    .meta({ 'x-default': 'everything to the only pool' })
    .describe(
      'Which request goes to which pool. The first route that matches wins. May be left out with a single pool.',
    ),
  timeouts,
  limits,
  trustedProxies,
  fields,
  admin,
  log,
  shutdown,
  dataDir,
  cluster,
  preset,
};

export const root = section(topLevel);

/** Keys of later versions: not a slip of the fingers, but not there yet either. */
export const notYet: ReadonlySet<string> = new Set(['affinity', 'protocol', 'proxyProtocol', 'sessions']);

/** What the same thing is called elsewhere, and here. */
export const synonyms: Readonly<Record<string, string>> = {
  algorithm: 'balance',
  backend: 'pool',
  backends: 'pools',
  bind: 'listen',
  certificate: 'cert',
  expectedStatus: 'status',
  healthCheck: 'health',
  healthchecks: 'health',
  lb_policy: 'balance',
  logging: 'log',
  maxconn: 'maxConnections',
  pathPrefix: 'path',
  prefix: 'path',
  rules: 'routes',
  servers: 'nodes',
  targets: 'nodes',
  threads: 'workers',
  upstreams: 'pools',
};
