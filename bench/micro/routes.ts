/**
 * What choosing a route costs as the table grows: `node bench/micro/routes.ts`
 *
 * Routes are mixed: exact hosts with two prefixes each, every tenth site a wildcard, some with methods, a catch-all at
 * the end. Host and path are cut anew from a head for each request, as the engine does, since a string that was looked
 * up before carries its hash with it; the cost of the cutting is measured alone and taken off.
 *
 *   match       requests for every route in turn
 *   catch-all   a request that only the last route takes
 *   hostile     host and path of thousands of parts (the cutting alone is about 10 us, so this one is noisy)
 *   compile     the whole table, and its longest step: what a data thread does between two turns of its loop.
 *               Medians of nine, since one is often hit by a garbage collection
 */
import { compileSnapshot, snapshotOf } from '../../src/routing/compile.ts';
import type { RequestFacts, RouteRow, Settings, Snapshot } from '../../src/routing/snapshot.ts';
import { measure, printTable, type Timing, writeResults } from './harness.ts';
import { routeRow } from './route-row.ts';

interface Made {
  readonly rows: readonly RouteRow[];
  /** `host path`, latin1: one request per route. */
  readonly heads: readonly Buffer[];
}

/** Not looked at by a match. */
const settings: Settings = {
  timeouts: { head: 10_000, body: 60_000, keepAlive: 75_000, write: 60_000 },
  limits: {
    maxHead: 32_768,
    maxFields: 100,
    maxField: 16_384,
    maxTarget: 8192,
    maxBody: null,
    maxConnections: 1024,
    perAddress: { connections: null, newConnections: null, requests: null },
  },
  fields: { forwarded: false, serverTiming: false, via: null, underscore: 'drop', trailers: false },
  trustedProxies: [],
  accessLog: false,
};

function make(count: number): Made {
  const rows: RouteRow[] = [];
  const heads: Buffer[] = [];
  for (let i = 0; i < count - 1; i++) {
    const site = i >> 1;
    const path = i % 2 === 0 ? `/api/v${site % 7}/things` : `/app-${site % 13}`;
    const wildcard = site % 10 === 9;
    const methods = i % 8 === 0 ? ['GET', 'HEAD'] : [];
    const host = wildcard ? `*.site-${site}.example.com` : `site-${site}.example.com`;
    rows.push(routeRow(i, { host, path: { kind: 'prefix', value: path }, methods }));
    heads.push(Buffer.from(`${host.replace('*', 'www')} ${path}/4711/detail`, 'latin1'));
  }
  rows.push(routeRow(count - 1, { host: null, path: null, methods: [] }));
  return { rows, heads };
}

/** The engine's head in miniature: cut from one string per request. */
class Facts implements RequestFacts {
  readonly listener = 0;
  readonly method = 'GET';
  host = '';
  path = '';
  header(): undefined {
    return undefined;
  }
  read(head: Buffer): void {
    const text = head.toString('latin1');
    const space = text.indexOf(' ');
    this.host = text.slice(0, space);
    this.path = text.slice(space + 1);
  }
}

const tablesOf = (rows: readonly RouteRow[]): Parameters<typeof snapshotOf>[1] => ({
  settings,
  pools: [],
  nodes: new Map(),
  routes: rows,
  listeners: {},
});

/** `snapshot` null = only the cutting. */
function cost(heads: readonly Buffer[], snapshot: Snapshot | null): Timing {
  const facts = new Facts();
  let next = 0;
  return measure(
    (ops) => {
      let found = 0;
      for (let i = 0; i < ops; i++) {
        facts.read(heads[next]!);
        next = next + 1 === heads.length ? 0 : next + 1;
        found += snapshot === null ? facts.host.length : (snapshot.match(facts)?.row.slot ?? Number.NaN);
      }
      return found;
    },
    { rounds: 15 },
  );
}

function measureCompile(rows: readonly RouteRow[]): { readonly allMs: number; readonly longestMs: number } {
  let longestMs = 0;
  const start = performance.now();
  let last = start;
  for (const _ of compileSnapshot(1, tablesOf(rows), null)) {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
  }
  const end = performance.now();
  return { allMs: end - start, longestMs: Math.max(longestMs, end - last) };
}

function hostile(): Buffer {
  return Buffer.from(`${'a.'.repeat(4000)}example.com ${'/a'.repeat(4000)}`, 'latin1');
}

function compileCost(rows: readonly RouteRow[]): { readonly allMs: number; readonly longestMs: number } {
  const runs = Array.from({ length: 9 }, () => measureCompile(rows));
  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
  return { allMs: median(runs.map((run) => run.allMs)), longestMs: median(runs.map((run) => run.longestMs)) };
}

const elsewhere = [Buffer.from('elsewhere.org /api/v1/things/4711', 'latin1')];
const ns = (value: number): string => `${value.toFixed(0)} ns`;
const ms = (value: number): string => `${value.toFixed(1)} ms`;

const results = [10, 1000, 10_000].map((count) => {
  const { rows, heads } = make(count);
  const snapshot = snapshotOf(1, tablesOf(rows));
  const compile = compileCost(rows);
  const net = (requests: readonly Buffer[]): number => cost(requests, snapshot).median - cost(requests, null).median;
  return { count, match: net(heads), catchAll: net(elsewhere), hostile: net([hostile()]), ...compile };
});

printTable(
  'cost of one match, ns, by number of routes',
  results.map((row) => ({
    routes: row.count,
    match: ns(row.match),
    'catch-all': ns(row.catchAll),
    hostile: ns(row.hostile),
    compile: ms(row.allMs),
    'longest step': ms(row.longestMs),
  })),
);
writeResults('micro-routes', results);
