/** Rows of a config without pools, for tests of what carries rows. */
import type { Publisher } from '../../src/routing/publisher.ts';

type Tables = Parameters<Publisher['publish']>[0];

export const emptyTables: Tables = {
  settings: {
    timeouts: { head: 10_000, body: 60_000, keepAlive: 75_000, write: 60_000 },
    limits: {
      maxHead: 32_768,
      maxFields: 100,
      maxField: 16_384,
      maxTarget: 8192,
      maxBody: null,
      maxConnections: 1000,
      perAddress: { connections: null, newConnections: null, requests: null },
    },
    fields: { forwarded: false, serverTiming: false, via: null, underscore: 'drop', trailers: false },
    trustedProxies: [],
    accessLog: false,
  },
  pools: [],
  nodes: new Map(),
  routes: [],
  listeners: {},
};
