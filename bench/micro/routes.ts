/**
 * What choosing a route costs as the table grows: `node bench/micro/routes.ts`.
 *
 * Routes are mixed: exact hosts with two prefixes each, every tenth a wildcard, some with a method, a catch-all at the
 * end. Requests go to all of them in turn. Host and path are cut anew from a head for each request, as the engine
 * does, since a string that was looked up before carries its hash with it; the cost of the cutting is measured alone
 * and taken off. Columns: ns per match (median of the rounds), for a request that only the catch-all takes, and for a
 * hostile one (path and host of thousands of parts); and how long compiling took, in all and the longest step.
 */
import type { RouteConfig } from '../../src/config/model.ts';
import { compileSnapshot, snapshotOf } from '../../src/routing/compile.ts';
import type { RequestFacts, RouteRow, Settings, Snapshot } from '../../src/routing/snapshot.ts';

const rounds = 15;
const perRound = 100_000;

interface Made {
  readonly rows: readonly RouteRow[];
  /** `host path`, latin1: one request per route. */
  readonly heads: readonly Buffer[];
}

/** Not looked at by a match. */
const settings: Settings = {
  timeouts: { head: 10_000, body: 60_000, keepAlive: 75_000, write: 60_000 },
  limits: { maxHead: 32_768, maxFields: 100, maxField: 16_384, maxTarget: 8192, maxBody: null, maxConnections: 1024 },
  fields: { forwarded: false, serverTiming: false, via: null, underscore: 'drop', trailers: false },
  trustedProxies: [],
  accessLog: false,
};

const noEdits: RouteConfig['requestFields'] = { set: [], remove: [] };

function makeRoute(slot: number, match: Pick<RouteRow, 'host' | 'path' | 'methods'>): RouteRow {
  return {
    ...match,
    name: `route-${slot}`,
    slot,
    listen: [],
    headers: [],
    action: { kind: 'redirect', to: '/', status: 308 },
    requestFields: noEdits,
    responseFields: noEdits,
    abortOnFin: false,
  };
}

function make(count: number): Made {
  const rows: RouteRow[] = [];
  const heads: Buffer[] = [];
  for (let i = 0; i < count - 1; i++) {
    const site = i >> 1;
    const path = i % 2 === 0 ? `/api/v${site % 7}/things` : `/app-${site % 13}`;
    const wildcard = site % 10 === 9;
    const methods = i % 8 === 0 ? ['GET', 'HEAD'] : [];
    const host = wildcard ? `*.site-${site}.example.com` : `site-${site}.example.com`;
    rows.push(makeRoute(i, { host, path: { kind: 'prefix', value: path }, methods }));
    heads.push(Buffer.from(`${host.replace('*', 'www')} ${path}/4711/detail`, 'latin1'));
  }
  rows.push(makeRoute(count - 1, { host: null, path: null, methods: [] }));
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

/** ns per turn, the median of the rounds. `match` null = only the cutting. */
function measure(heads: readonly Buffer[], match: Snapshot | null): number {
  const facts = new Facts();
  const times: number[] = [];
  let next = 0;
  let matched = 0;
  for (let round = 0; round < rounds; round++) {
    const from = process.hrtime.bigint();
    for (let i = 0; i < perRound; i++) {
      facts.read(heads[next]!);
      next = next + 1 === heads.length ? 0 : next + 1;
      if (match === null) matched += facts.host.length > 0 ? 1 : 0;
      else if (match.match(facts) !== null) matched++;
    }
    times.push(Number(process.hrtime.bigint() - from) / perRound);
  }
  if (matched !== rounds * perRound) throw new Error(`${rounds * perRound - matched} requests found no route`);
  return times.sort((a, b) => a - b)[rounds >> 1]!;
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

const ns = (value: number): string => `${value.toFixed(0)} ns`;
const ms = (value: number): string => `${value.toFixed(1)} ms`;

const results = [10, 1000, 10_000].map((count) => {
  const { rows, heads } = make(count);
  const snapshot = snapshotOf(1, tablesOf(rows));
  const compile = measureCompile(rows);
  const net = (requests: readonly Buffer[]): string => ns(measure(requests, snapshot) - measure(requests, null));
  const elsewhere = [Buffer.from('elsewhere.org /api/v1/things/4711', 'latin1')];
  return {
    routes: count,
    match: net(heads),
    'catch-all': net(elsewhere),
    hostile: net([hostile()]),
    compile: ms(compile.allMs),
    'longest step': ms(compile.longestMs),
  };
});
console.table(results);
