/**
 * What health is told: pools, their nodes, and the numbers by which they are judged. Field for field as the config
 * has them (this room may not look at the config), so that its values can be handed over as they are.
 * Durations are milliseconds, shares are fractions of one.
 */
import type { Millis, NodeId } from '../base/ids.ts';
import type { Wish } from '../base/node-state.ts';

/** How an https node is spoken to. PEM text; null: Node's own authorities, no certificate of ours, the url's host. */
export interface ProbeTls {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly verify: boolean;
  readonly servername: string | null;
}

export type ProbeAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly secure?: ProbeTls }
  | { readonly kind: 'unix'; readonly path: string };

/** How a node is probed, and how many answers make a verdict. */
export interface HealthPolicy {
  readonly kind: 'http' | 'https' | 'tcp';
  readonly path: string;
  readonly method: 'GET' | 'HEAD';
  /** Host field; null = the node's own host:port. */
  readonly host: string | null;
  /** null = the node's. Without meaning for a unix socket. */
  readonly port: number | null;
  readonly interval: Millis;
  /** After any failure, until `rise` or `fall` is complete. */
  readonly fastInterval: Millis;
  readonly downInterval: Millis;
  /** Of the whole probe, from the name's resolution to the body's end. */
  readonly timeout: Millis;
  readonly fall: number;
  readonly rise: number;
  /** Each interval is longer or shorter by up to this share. */
  readonly jitter: number;
  /** Inclusive ranges. */
  readonly status: readonly (readonly [from: number, to: number])[];
  /** Must stand in the first 64 KiB of the body; null = any body. */
  readonly body: string | null;
}

/** When real traffic ejects a node. */
export interface PassivePolicy {
  /** 0 = traffic ejects nobody. */
  readonly consecutiveErrors: number;
  readonly ejectBase: Millis;
  readonly ejectMax: Millis;
  readonly maxEjected: number;
}

export interface SlowStartPolicy {
  readonly window: Millis;
  /** 1 = linear; above it the node gets more at the beginning. */
  readonly aggression: number;
}

export interface NodeSpec {
  readonly id: NodeId;
  readonly url: string;
  readonly address: ProbeAddress;
  readonly weight: number;
  readonly backup: boolean;
  /** At start; later the operator's word counts, until the config says something new. */
  readonly wish: Wish;
}

export interface PoolSpec {
  readonly name: string;
  readonly nodes: readonly NodeSpec[];
  readonly health: HealthPolicy | null;
  readonly passive: PassivePolicy;
  readonly slowStart: SlowStartPolicy | null;
  readonly panicThreshold: number;
  /** With it one node is primary, and is down after this many failed checks in a row; every check of a node is told. */
  readonly failover?: { readonly failureThreshold: number } | null;
}
