/**
 * The one frozen value that the data plane routes by, and the flat rows that carry it to the data threads.
 *
 *   Config --build--> rows (plain data, diffed per table) --pieces--> data thread --compile between turns--> Snapshot
 *
 * Verdicts, weights and wishes are not in it: they change in the scoreboard, without a message.
 * An exchange reads the snapshot once, at its start, and keeps it to its end.
 */
import type { NodeId } from '../base/ids.ts';
import type {
  ClientLimits,
  ClientTimeouts,
  FieldsConfig,
  NodeAddress,
  ParkingConfig,
  PathRewrite,
  PoolConfig,
  RouteConfig,
  SplitConfig,
  TlsMaterial,
  UpstreamTls,
} from '../config/model.ts';

/** A node as the data plane needs it. (slot, generation) names it for life: sockets to it live on while both stay. */
export interface NodeRow {
  readonly pool: string;
  readonly id: NodeId;
  readonly slot: number;
  readonly generation: number;
  readonly address: NodeAddress;
  /** `10.0.0.11:3000`, or `localhost` for a unix socket: the Host field of an HTTP/1.0 request that has none. */
  readonly authority: string;
  /** Hash of the id, for consistent hashing. */
  readonly key: number;
  readonly backup: boolean;
}

/** A pool without its nodes. `revision` grows whenever the pool, one of its nodes or their order changes. */
export interface PoolRow {
  readonly name: string;
  readonly slot: number;
  readonly revision: number;
  readonly balance: PoolConfig['balance'];
  readonly retry: PoolConfig['retry'];
  readonly upstream: Omit<PoolConfig['upstream'], 'tls'>;
  readonly limits: PoolConfig['limits'];
  /** For https nodes; null if there are none. */
  readonly tls: UpstreamTls | null;
  /** Consecutive 5xx answers, resets and time-outs after which `errors` is signalled (passive health); 0 = never. */
  readonly errorsToEject: number;
  /** null: no node of it is primary. Who is stands in the scoreboard (scoreboard/primary.ts). */
  readonly primary: PrimaryRow | null;
  /** Nodes in the pool, for the receiver to know that its table is whole. */
  readonly nodeCount: number;
}

/** What a pool with a primary does with writes and reads. */
export interface PrimaryRow {
  readonly parking: ParkingConfig;
  readonly split: SplitConfig;
  /** No other member passes writes on: this process knows of each one that was answered. */
  readonly alone: boolean;
}

export interface RouteRow extends RouteConfig {
  readonly slot: number;
}

/** What holds for all requests. */
export interface Settings {
  readonly timeouts: ClientTimeouts;
  readonly limits: ClientLimits;
  readonly fields: FieldsConfig;
  readonly trustedProxies: readonly string[];
  /** False when nobody reads outcomes: then no access line is made. */
  readonly accessLog: boolean;
}

export interface PoolView {
  readonly row: PoolRow;
  readonly nodes: readonly NodeRow[];
}

/**
 * A route made ready for the hot path, which looks at nothing of the row: with 10 000 routes neither is in the processor's
 * caches, and each further object costs 0.1 us.
 */
export interface RouteView {
  readonly row: RouteRow;
  readonly slot: number;
  /** null for a redirect. */
  readonly pool: PoolView | null;
  readonly rewrite: PathRewrite | null;
  /** Fields to set, as they go out: `Name: value\r\n`, or empty. */
  readonly requestSet: string;
  readonly responseSet: string;
  /** Lower-case names that are left out (those removed and those set anew); null = none. */
  readonly requestDrop: ReadonlySet<string> | null;
  readonly responseDrop: ReadonlySet<string> | null;
}

/** What a route may look at. The request head implements it; nothing is copied for a match. */
export interface RequestFacts {
  /** Slot of the listener that accepted the connection. */
  readonly listener: number;
  /** Lower case, without port. */
  readonly host: string;
  /** Normalised, without the query. */
  readonly path: string;
  readonly method: string;
  /** First value of a field by its lower-case name. */
  header(name: string): string | undefined;
}

export interface Snapshot {
  readonly version: number;
  readonly settings: Settings;
  readonly pools: ReadonlyMap<string, PoolView>;
  readonly routes: readonly RouteView[];
  /** The first route that matches, in the order of the config; null if none. */
  match(facts: RequestFacts): RouteView | null;
}

/** What travels to a data thread, in pieces. A table that did not change is not sent. */
export type SnapshotPiece =
  | { readonly kind: 'begin'; readonly version: number }
  | { readonly kind: 'settings'; readonly settings: Settings }
  | { readonly kind: 'pools'; readonly rows: readonly PoolRow[]; readonly first: boolean }
  /** All nodes of one pool, possibly in several pieces; `first` starts its list anew. */
  | { readonly kind: 'nodes'; readonly pool: string; readonly rows: readonly NodeRow[]; readonly first: boolean }
  | {
      readonly kind: 'routes';
      readonly rows: readonly RouteRow[];
      readonly first: boolean;
      readonly listeners: Readonly<Record<string, number>>;
    }
  | { readonly kind: 'end'; readonly version: number };

/** A listener to open; not part of the snapshot, since an open one is never touched by a reload. */
export interface ListenerSpec {
  readonly slot: number;
  readonly name: string;
  readonly address:
    | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
    | { readonly kind: 'unix'; readonly path: string };
  readonly tls: TlsMaterial | null;
  /** Listening sockets per thread: libuv accepts one connection per listener and turn (DECISION 0002). */
  readonly sockets: number;
  readonly reusePort: boolean;
}
