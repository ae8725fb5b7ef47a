/**
 * The frozen Config: what a config file means once it has been read, expanded, defaulted and validated.
 * Durations are milliseconds, sizes are bytes, shares are fractions of one. Every field's effect, unit, default and
 * bounds stand in schema.ts, from which config.schema.json and the reference page are made.
 * Where it differs from the YAML, the YAML has a short form (`listen: 0.0.0.0:8080`) and this has only the long one.
 */
import type { Bytes, Millis, NodeId } from '../base/ids.ts';
import type { Wish } from '../base/node-state.ts';

export interface Config {
  /** Empty for a witness only, and so are routes. The pools of a witness are watched and take no traffic. */
  readonly listen: readonly ListenConfig[];
  /** Data threads; `auto` = cores - 1, at least 1. */
  readonly workers: number | 'auto';
  readonly pools: readonly PoolConfig[];
  /** Without `routes` in the file, one route that leads everything to the only pool. */
  readonly routes: readonly RouteConfig[];
  readonly timeouts: ClientTimeouts;
  readonly limits: ClientLimits;
  /** Addresses or CIDR blocks whose X-Forwarded-* and X-Request-Id are believed. */
  readonly trustedProxies: readonly string[];
  readonly fields: FieldsConfig;
  readonly admin: AdminConfig;
  readonly log: LogConfig;
  readonly shutdown: ShutdownConfig;
  /** Folder of what a member keeps; used with `cluster`, and with a pool's `failover`. */
  readonly dataDir: string;
  /** null: no member of any cluster. */
  readonly cluster: ClusterConfig | null;
}

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface ListenConfig {
  /** `host:port` as written, normalised (`:8080` is `0.0.0.0:8080`); the listener's name in metrics and routes. */
  readonly name: string;
  readonly address: ListenAddress;
  readonly tls: TlsConfig | null;
}

/** Names of PEM files; they are read and checked when the config is loaded (io/files.ts). */
export interface TlsConfig {
  /** At least one. The first is for clients that ask for no name, or for one that none has. */
  readonly certificates: readonly { readonly cert: string; readonly key: string }[];
  readonly minVersion: TlsVersion;
  readonly clientCert: { readonly ca: string; readonly mode: ClientCertMode } | null;
}

export type TlsVersion = '1.2' | '1.3';
/** `require`: no connection without a certificate that verifies; `request`: it is asked for, and known if it verifies. */
export type ClientCertMode = 'request' | 'require';

/** What stood in the files of a TlsConfig. */
export interface TlsMaterial {
  readonly certificates: readonly Certificate[];
  readonly minVersion: TlsVersion;
  /** `ca`: PEM text. */
  readonly clientCert: { readonly ca: string; readonly mode: ClientCertMode } | null;
}

/** How https nodes are spoken to. Names of PEM files; null: Node's own authorities, no certificate of ours. */
export interface UpstreamTlsConfig {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly verify: boolean;
  /** Name to ask for and to verify; null: the host of the node's url. */
  readonly servername: string | null;
}

/** The same with PEM text in place of names. */
export type UpstreamTls = UpstreamTlsConfig;

export interface Certificate {
  /** PEM text, with the chain. */
  readonly cert: string;
  /** PEM text. */
  readonly key: string;
  /** Lower case; `*.example.com` among them. Empty if it holds none. */
  readonly names: readonly string[];
  /** Wall time, ms. */
  readonly expiresAt: Millis;
}

export type Algorithm =
  | 'round-robin'
  | 'weighted'
  | 'least-connections'
  | 'random-two'
  | 'peak-ewma'
  | 'consistent-hash';

export type HashKey =
  | { readonly from: 'address' | 'path' }
  | { readonly from: 'header' | 'cookie'; readonly name: string };

export interface PoolConfig {
  readonly name: string;
  readonly balance: { readonly algorithm: Algorithm; readonly key: HashKey };
  readonly nodes: readonly NodeConfig[];
  /** null: no active checks; nodes count as healthy until traffic shows otherwise. */
  readonly health: HealthConfig | null;
  readonly passive: PassiveConfig;
  readonly slowStart: { readonly window: Millis; readonly aggression: number } | null;
  /** Share of fit nodes below which all nodes are used; 0 = off. */
  readonly panicThreshold: number;
  readonly retry: RetryConfig;
  readonly upstream: UpstreamConfig;
  readonly limits: PoolLimits;
  /** null: its nodes are equal, and no epoch is agreed about. */
  readonly failover: FailoverConfig | null;
  /** Which requests go where; null exactly where `failover` is. */
  readonly split: SplitConfig | null;
}

/** Where a node is reached. `tls`: it speaks https. */
export type NodeAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly tls?: true }
  | { readonly kind: 'unix'; readonly path: string };

export interface NodeConfig {
  readonly id: NodeId;
  /** As written, without a trailing slash: `http://10.0.0.11:3000`, `unix:/run/app.sock`. */
  readonly url: string;
  readonly address: NodeAddress;
  /** 0 to 1000, default 1. 0 = no new traffic. */
  readonly weight: number;
  /** Used only when no other node of the pool is fit. */
  readonly backup: boolean;
  /** The operator's wish at start; the admin API changes it while running. */
  readonly wish: Wish;
  /**
   * The wish for a pool with `failover` that has no epoch yet: exactly one node of it is `primary`. A standby takes no
   * reads. Without `failover`: `replica`, and means nothing.
   */
  readonly role: NodeRole;
  /** 0 to 65535, default 100. Of candidates that are equally far, the highest becomes primary. */
  readonly priority: number;
  /** May become primary. */
  readonly candidate: boolean;
}

export type NodeRole = 'primary' | 'replica' | 'standby';

/** How a pool's primary is replaced. Durations in ms; see AGREEMENT.md for the rules that the numbers serve. */
export interface FailoverConfig {
  /** manual: only an operator changes the primary. */
  readonly mode: 'automatic' | 'manual';
  /** Failed checks in a row after which this member holds the primary for down; in place of `health.fall`. */
  readonly failureThreshold: number;
  /** How long a node that was primary is healthy before it counts as recovered. */
  readonly recoveryWait: Millis;
  readonly failback: 'manual' | 'automatic';
  /** Candidates that are tried in one failover. */
  readonly maxAttempts: number;
  /** First rest of automatic failover after a failed one, doubling; 0: until someone looks. */
  readonly retryAfter: Millis;
  /** Least time between two changes of primary by failover. */
  readonly minInterval: Millis;
  /** Furthest that a candidate may be behind, in positions; null: any. */
  readonly maxLag: number | null;
  /** No failover while another node still hears the primary. */
  readonly verify: boolean;
  readonly withoutQuorum: 'stop' | 'continue';
  /** Longest that writes in flight may finish in a planned switch, and the new primary may catch up. */
  readonly switchTimeout: Millis;
  readonly demote: HookConfig | null;
  readonly promote: HookConfig | null;
  readonly rejoin: HookConfig | null;
  readonly parking: ParkingConfig;
}

/** post: `url` is a path of the node itself, or a whole http(s) url. exec: a program and its arguments, without a shell. */
export type HookConfig =
  | { readonly kind: 'post'; readonly url: string; readonly timeout: Millis }
  | { readonly kind: 'exec'; readonly argv: readonly string[]; readonly timeout: Millis };

/** Writes that wait for a primary; past any of these bounds 503. */
export interface ParkingConfig {
  readonly writes: number;
  /** Of their heads and of what has been read of their bodies. */
  readonly bytes: Bytes;
  readonly time: Millis;
}

/** replicas: all but the primary and standbys. any: replicas and the primary alike. */
export type ReadPlace = 'replicas' | 'primary' | 'any';

export interface SplitConfig {
  readonly writes: 'primary';
  /** In order of preference, the next where none of the one before is fit; behind the last 503. At least one. */
  readonly reads: readonly ReadPlace[];
  /** A node that says it is further behind takes no reads; null: any lag. */
  readonly maxLag: Millis | null;
  /** Replicas that must be healthy and within maxLag for writes to be taken. 0: none. */
  readonly minReplicas: number;
  /** How long reads are still answered by replicas while there is no primary (`X-HA-Stale`); 0: not at all. */
  readonly stale: Millis;
  readonly readYourWrites: ReadYourWritesConfig;
}

export interface ReadYourWritesConfig {
  /** session: own writes. strict: every client's completed writes. */
  readonly mode: 'off' | 'session' | 'strict';
  readonly via: 'cookie' | 'header';
  /** Name of that cookie or field. */
  readonly name: string;
  /** Longest wait for a replica that has caught up; then the primary. */
  readonly wait: Millis;
  /** Where nodes report no positions: for so long after a write its client reads from the primary. */
  readonly bound: Millis;
}

export interface HealthConfig {
  readonly kind: 'http' | 'https' | 'tcp';
  readonly path: string;
  readonly method: 'GET' | 'HEAD';
  /** Host field of the probe; null = the node's own host:port. */
  readonly host: string | null;
  /** Port to probe; null = the node's. */
  readonly port: number | null;
  readonly interval: Millis;
  /** While the verdict is changing (after any failure, until rise or fall is complete). */
  readonly fastInterval: Millis;
  /** While down. */
  readonly downInterval: Millis;
  readonly timeout: Millis;
  readonly fall: number;
  readonly rise: number;
  /** Each interval is stretched or shortened by up to this share, so that members and nodes don't probe in step. */
  readonly jitter: number;
  /** Inclusive ranges of status codes that count as success. */
  readonly status: readonly (readonly [from: number, to: number])[];
  /** Text that the body must contain (first 64 KiB); null = any body. */
  readonly body: string | null;
}

export interface PassiveConfig {
  /** Consecutive 5xx answers, resets and time-outs that eject a node; 0 = off. */
  readonly consecutiveErrors: number;
  readonly ejectBase: Millis;
  readonly ejectMax: Millis;
  /** Largest share of a pool's nodes that may be ejected at once; never the last fit node. */
  readonly maxEjected: number;
}

export interface RetryConfig {
  /** Tries in all, besides the free one after a refused or broken connection. 1 = no retry. */
  readonly attempts: number;
  /** Concurrent retries, as a share of active requests (at least 10 are allowed). */
  readonly budget: number;
  /** Methods that may be sent again besides GET, HEAD and OPTIONS. */
  readonly methods: readonly string[];
  /** Statuses that are retried for GET and HEAD. */
  readonly statuses: readonly number[];
  /** Largest request body that is kept for sending again. */
  readonly buffer: Bytes;
  readonly backoff: Millis;
}

export interface UpstreamConfig {
  readonly connectTimeout: Millis;
  /** From the request's last byte sent to the answer's head. */
  readonly responseTimeout: Millis;
  /** An answer's body without a byte. */
  readonly bodyTimeout: Millis;
  /** A WebSocket or other tunnel without a byte either way. */
  readonly tunnelTimeout: Millis;
  readonly idleTimeout: Millis;
  /** Idle connections kept per node and data thread. */
  readonly maxIdle: number;
  /** Requests at once on one connection; 1: one after the other. */
  readonly pipelining: number;
  readonly tls: UpstreamTlsConfig;
}

export interface PoolLimits {
  /** Requests at once on one node. */
  readonly maxConnections: number;
  /** Requests that may wait when every node is full. */
  readonly maxPending: number;
  readonly queueTimeout: Millis;
}

export interface RouteConfig {
  /** Given or made (`route-3`); the route's name in metrics and logs. */
  readonly name: string;
  /** Listener names that it serves; empty = all. */
  readonly listen: readonly string[];
  /** Lower case; `*.example.com` matches one or more labels in front; null = any. */
  readonly host: string | null;
  readonly path: PathMatch | null;
  /** Upper case; empty = any. */
  readonly methods: readonly string[];
  /** Names in lower case; value null = the field must be present. */
  readonly headers: readonly { readonly name: string; readonly value: string | null }[];
  readonly action: RouteAction;
  readonly requestFields: FieldEdits;
  readonly responseFields: FieldEdits;
  /** Cancels the exchange when the client half-closes, as nginx does. */
  readonly abortOnFin: boolean;
  /** What its requests are in a pool with `failover`; null: by method, tunnels being writes. */
  readonly treatAs: 'read' | 'write' | null;
}

/** prefix `/v1` and `/v1/` both match `/v1`, `/v1/` and `/v1/x`, never `/v1x`. `/` matches everything. */
export type PathMatch = { readonly kind: 'prefix' | 'exact'; readonly value: string };

export type RouteAction =
  | { readonly kind: 'pool'; readonly pool: string; readonly rewrite: PathRewrite | null }
  /** `to` may hold {host}, {path} (with the query) and {scheme}. */
  | { readonly kind: 'redirect'; readonly to: string; readonly status: 301 | 302 | 303 | 307 | 308 };

/** What the matched prefix becomes: `/` for `stripPrefix: true`, else the value of `replacePrefix`. */
export interface PathRewrite {
  readonly prefix: string;
  readonly replacement: string;
}

export interface FieldEdits {
  readonly set: readonly { readonly name: string; readonly value: string }[];
  /** Lower case. */
  readonly remove: readonly string[];
}

export interface ClientTimeouts {
  readonly head: Millis;
  readonly body: Millis;
  readonly keepAlive: Millis;
  /** A client that takes no byte of its answer. */
  readonly write: Millis;
}

export interface ClientLimits {
  readonly maxHead: Bytes;
  readonly maxFields: number;
  readonly maxField: Bytes;
  readonly maxTarget: Bytes;
  /** null = unlimited. */
  readonly maxBody: Bytes | null;
  /** Client connections per process; past it a new one gets 503 and is closed. */
  readonly maxConnections: number;
  readonly perAddress: AddressLimits;
}

/** For each client address alone; null: no such limit. */
export interface AddressLimits {
  /** Open connections. */
  readonly connections: number | null;
  readonly newConnections: RateLimit | null;
  readonly requests: RateLimit | null;
}

export interface RateLimit {
  /** 0.001 to 1,000,000. */
  readonly perSecond: number;
  /** How many may come at once. */
  readonly burst: number;
}

export interface FieldsConfig {
  readonly forwarded: boolean;
  readonly serverTiming: boolean;
  /** The name in Via (`1.1 ek-<name>`); null = off. */
  readonly via: string | null;
  readonly underscore: 'drop' | 'allow' | 'reject';
  /** Trailers are passed on to clients that say `TE: trailers`, and to nodes. */
  readonly trailers: boolean;
}

export interface AdminConfig {
  readonly address: ListenAddress;
  /** null = loopback only, no token asked. Redacted wherever printed. */
  readonly token: string | null;
}

export interface LogConfig {
  readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';
  readonly access: 'json' | 'combined' | 'off';
  /** File for the access log; null = standard output. */
  readonly accessFile: string | null;
}

export interface ShutdownConfig {
  /** Between readyz 503 and the listeners' end. */
  readonly delay: Millis;
  /** After it, what still runs is cut. */
  readonly deadline: Millis;
}

export interface ClusterConfig {
  readonly member: string;
  /** `host:port`, normalised; bound, and how the others reach it. */
  readonly address: string;
  readonly seeds: readonly string[];
  /** Voters there shall be. */
  readonly expect: number;
  /** Secrets as texts, the sealing one first; empty on loopback only. Redacted wherever printed. */
  readonly key: readonly string[];
  /** 0: never a leader. */
  readonly priority: number;
  readonly witness: boolean;
  /** Empty: none. */
  readonly zone: string;
  readonly mode: 'multi-master' | 'master-slave';
}

/** A problem in a config file, ready to be printed. Line and column count from 1; line 0 = the file as a whole. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Path of the value: `pools.app.nodes[1].weight`. Empty for syntax errors. */
  readonly path: string;
  readonly message: string;
  readonly hint: string | null;
  /** The source line itself, without its end. */
  readonly source: string;
  readonly severity: 'error' | 'warning';
}
