/**
 * The words of the load benchmark.
 *
 *   scenario = a setup (what stands behind and in front) + a load (who asks what) + the subjects that are compared
 *   subject  = a proxy in a setup; the first of a scenario is ours, the others are held against it
 *   sample   = the figures of one subject in one round
 *   ratio    = our figure / the other's, of two samples that are neighbours in time
 *
 * A figure is a number under a name: cpu (microseconds of the proxy's process tree per request; `user` and `system` are its
 * parts), rate (requests/s), p50, p99, p999 (ms), rss (MiB), perConnection (KiB), addedP50 (ms over going direct), errors.
 * NaN is a figure that could not be had.
 */
export const proxyNames = ['evenkeel', 'nginx', 'haproxy', 'caddy', 'http-proxy-3', 'undici'] as const;
export type ProxyName = (typeof proxyNames)[number];

export interface Setup {
  /** How many nodes. They differ in their addresses only. */
  readonly nodes: number;
  /** `static`: nginx with files, or Node where nginx is absent. `app`: a Node server that reads bodies and upgrades. */
  readonly backend: 'static' | 'app';
  /** How the proxy reaches them. */
  readonly over: 'tcp' | 'unix';
  readonly tls: boolean;
  readonly accessLog: boolean;
  /** Routes by host, all to the same pool; the load asks for each in turn. 0: no routes. */
  readonly routes: number;
  /** Data threads, worker processes, threads. The Node references always have one. */
  readonly workers: number;
  /** Requests at once on one connection to a node: evenkeel alone does that. */
  readonly pipelining: number;
}

export const plainSetup: Setup = {
  nodes: 3,
  backend: 'static',
  over: 'tcp',
  tls: false,
  accessLog: false,
  routes: 0,
  workers: 1,
  pipelining: 1,
};

export interface Subject {
  readonly label: string;
  readonly proxy: ProxyName;
  readonly setup: Setup;
}

export type Head = 'bare' | 'browser';

export type Load =
  /** So many connections, each of which asks again as soon as it was answered: wrk, or autocannon in the quick form. */
  | { readonly kind: 'closed'; readonly path: string; readonly connections: number; readonly head: Head }
  | { readonly kind: 'closed'; readonly path: string; readonly connections: number; readonly upload: number }
  | { readonly kind: 'reconnect'; readonly path: string; readonly connections: number }
  /** A new TLS connection with a full handshake for each request. */
  | { readonly kind: 'handshakes'; readonly path: string; readonly connections: number }
  /** `burst` new connections at once, again and again, beside a closed load. */
  | { readonly kind: 'burst'; readonly path: string; readonly connections: number; readonly burst: number }
  /** A closed load of small requests beside one of bulk downloads; the small ones are measured. */
  | {
      readonly kind: 'mixed';
      readonly path: string;
      readonly connections: number;
      readonly bulkPath: string;
      readonly bulk: number;
    }
  /** Requests at fixed instants, whether or not the earlier ones were answered. */
  | { readonly kind: 'open'; readonly path: string; readonly rate: number; readonly connections: number }
  /** A closed load while the config is loaded anew every `everyMs`. */
  | { readonly kind: 'reloads'; readonly path: string; readonly connections: number; readonly everyMs: number }
  /** Connections that were answered once and then say nothing. */
  | { readonly kind: 'idle'; readonly count: number; readonly webSocket: boolean }
  /** Connections that ask for a large answer and take none of it. */
  | { readonly kind: 'stalled'; readonly path: string; readonly count: number };

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly load: Load;
  readonly setup?: Partial<Setup>;
  /** The peers' setup where it differs from ours. */
  readonly peerSetup?: Partial<Setup>;
  /** All of them unless given. */
  readonly peers?: readonly ProxyName[];
  /** evenkeel against itself in another setup, in place of peers. */
  readonly against?: { readonly label: string; readonly setup: Partial<Setup> };
  /** Each sample from a new process: what a process has grown to once, it keeps. */
  readonly fresh?: boolean;
  /** A sample lasts so many times as long: where a request takes a second, a second holds none. */
  readonly longer?: number;
  /** Part of the quick form. */
  readonly quick?: boolean;
  /** Figures that are compared. */
  readonly compare: readonly string[];
}

export type Figures = Readonly<Record<string, number>>;

export interface Sample {
  readonly label: string;
  readonly figures: Figures;
}

/** How long and how often. */
export interface Pace {
  readonly quick: boolean;
  readonly rounds: number;
  /** Of one sample. */
  readonly seconds: number;
}

/** Host name of a route. */
export const hostOf = (route: number): string => `site-${route}.example.com`;
