/** Heads, peers, routes and pools, for the tests of this room. */
import { expect } from 'vitest';
import type { FieldEdits } from '../../src/config/model.ts';
import { forwardedBy, type Peer } from '../../src/proxy/forwarding.ts';
import { type HeadLimits, type Refusal, RequestHead, readRequestHead } from '../../src/proxy/http1/request-head.ts';
import { HeadBuffer } from '../../src/proxy/io/head-buffer.ts';
import { snapshotOf } from '../../src/routing/compile.ts';
import type { NodeRow, PoolRow, PoolView, RouteRow, RouteView } from '../../src/routing/snapshot.ts';
import { nodeCell, nodeState, poolCell, weightScale } from '../../src/scoreboard/layout.ts';
import { nodeLine, poolLine, type Scoreboard } from '../../src/scoreboard/scoreboard.ts';
import { pool as poolRow, route as routeRow, settings } from '../routing/fixtures.ts';

export const limits: HeadLimits = { ...settings.limits, underscore: 'drop', trailers: false };

/** A head of these lines; a Host is put in unless a line of that name is there. */
export const lines = (start: string, ...fields: readonly string[]): string =>
  `${[start, ...(fields.some((line) => /^host:/i.test(line)) ? [] : ['Host: ek.test']), ...fields].join('\r\n')}\r\n\r\n`;

/** What the reader says of a whole head. */
export function judge(text: string, change: Partial<HeadLimits> = {}): RequestHead | Refusal {
  return readRequestHead(text, { start: 0, end: text.length }, { ...limits, ...change });
}

/** A head that must be accepted. */
export function accepted(text: string, change: Partial<HeadLimits> = {}): RequestHead {
  const head = judge(text, change);
  if (head instanceof RequestHead) return head;
  return expect.fail(`${JSON.stringify(text.slice(0, 200))} was refused: ${head.status} ${head.detail}`);
}

/** In one line what was said of the first head in some bytes: `400 bad-host`, `GET /x`, or `more`. */
export function said(head: RequestHead | Refusal | null): string {
  if (head === null) return 'more';
  return head instanceof RequestHead ? `${head.method} ${head.target}` : `${head.status} ${head.reason}`;
}

/** Feeds pieces one by one, as a connection does, until something can be said. */
export function feedHead(pieces: readonly Buffer[], limitsNow: HeadLimits): RequestHead | Refusal | null {
  const buffer = new HeadBuffer(limitsNow, true);
  for (const piece of pieces) {
    const progress = buffer.add(piece);
    if (progress.at === 'refused') return progress.refusal;
    if (progress.at === 'whole') {
      return readRequestHead(progress.text, { start: 0, end: progress.text.length }, limitsNow);
    }
  }
  return null;
}

/** The bytes cut at these offsets. */
export function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places]
    .map((from, i) => bytes.subarray(from, places[i] ?? bytes.length))
    .filter((piece) => piece.length > 0);
}

export const byteByByte = (bytes: Buffer): Buffer[] => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));

export function peer(change: Partial<Peer> = {}): Peer {
  const given = {
    address: '192.0.2.7',
    trusted: false,
    scheme: 'http',
    port: '8080',
    clientCert: '',
    isTrusted: (address: string) => address.startsWith('10.'),
    ...change,
  } as const;
  return { ...given, forwardedLines: forwardedBy(given) };
}

/** A route as the snapshot's compiler makes it. */
export function routeView(requestFields: Partial<FieldEdits> = {}, change: Partial<RouteRow> = {}): RouteView {
  const row = routeRow('r', { requestFields: { set: [], remove: [], ...requestFields }, ...change });
  const snapshot = snapshotOf(1, {
    settings,
    pools: [poolRow('app', 0)],
    nodes: new Map(),
    routes: [row],
    listeners: {},
  });
  return snapshot.routes[0]!;
}

export const view = (nodes: readonly NodeRow[], parts: Partial<PoolRow> = {}): PoolView => ({
  row: poolRow('app', nodes.length, parts),
  nodes,
});

/** Says of a node what control says: fit or not, its weight, on probation or not. */
export function setNode(
  board: Scoreboard,
  slot: number,
  what: {
    readonly fit?: boolean;
    readonly weight?: number;
    readonly probation?: boolean;
    readonly anyMayTry?: boolean;
    readonly pool?: number;
  } = {},
): void {
  const line = nodeLine(slot);
  board.lines[line + nodeCell.state] =
    (what.fit === false ? 0 : nodeState.fit) |
    (what.probation === true ? nodeState.probation : 0) |
    (what.anyMayTry === true ? nodeState.anyMayTry : 0);
  board.lines[line + nodeCell.weight] = (what.weight ?? 1) * weightScale;
  board.lines[poolLine(what.pool ?? 0) + poolCell.changes]!++;
}

export const inFlight = (board: Scoreboard, slot: number): number => board.lines[nodeLine(slot) + nodeCell.inFlight]!;
export const poolGauge = (board: Scoreboard, gauge: 'active' | 'pending' | 'retrying', slot = 0): number =>
  board.lines[poolLine(slot) + poolCell[gauge]]!;
