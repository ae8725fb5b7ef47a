/**
 * What the admin API may ask of the rest of the process. Compose implements it; the API itself holds no state.
 *
 *   HTTP -> server.ts (who may, is it well formed) -> AdminActions (do it) -> audit (say who did what)
 *
 * No method may throw for bad input: names are checked against stats() before an action is called, and what can fail
 * for a reason of its own says so in its result.
 */
import type { Millis } from '../base/ids.ts';
import type { Wish } from '../base/node-state.ts';
import type { Result } from '../base/result.ts';
import type { ListenAddress, Problem } from '../config/model.ts';
import type { Stats } from '../observe/stats-model.ts';
import type { HaActions } from './ha/actions.ts';
import type { FailoverActions } from './ha/failover-actions.ts';
import type { ProblemAnswer } from './problem.ts';

export interface AdminActions {
  /** Asked anew for each request, so that a reload can change the token. */
  access(): AdminAccess;
  /** From createObserver(): looked at in the same turn. */
  stats(): Stats;
  /** JSON of all of it, or of its pools, begun after it was asked for; whoever asks meanwhile shares the next. */
  statsBytes(part: 'all' | 'pools'): Promise<Uint8Array<ArrayBuffer>>;
  readonly metrics: { readonly contentType: string; bytes(): Promise<Uint8Array<ArrayBuffer>> };
  readiness(): ReadinessFacts;
  /** JSON of the config in force, secrets already replaced (by config's own redaction). */
  redactedConfig(): string;
  /** Pool and node exist. The error says why it can't be so: a primary is switched away from first. */
  setWish(change: WishChange): Promise<Result<null, ProblemAnswer>>;
  /** Reads the config again and swaps it, or keeps the old one. Never rejects for a bad config. */
  reload(): Promise<ReloadResult>;
  /** One log line for each change that was asked for, refused ones included. */
  audit(entry: AuditEntry): void;
  /** The cluster; left out where the config has no `cluster:`. `starting`: it has, and the member is not there yet. */
  readonly ha?: HaActions | 'starting' | undefined;
  /** Left out where no pool has `failover`. */
  readonly failover?: FailoverActions | 'starting' | undefined;
}

export interface AdminAccess {
  /** null = no token asked. */
  readonly token: string | null;
  /** Where the API listens: its host is allowed in the Host field. */
  readonly address: ListenAddress;
  /** Further names that are allowed in the Host field, lower case, without port (the machine's own host name). */
  readonly hosts: readonly string[];
}

export interface WishChange {
  readonly pool: string;
  readonly node: string;
  readonly wish: Wish;
}

export type ReloadResult =
  /** `version` in force now; the same as before if nothing had changed. */
  | { readonly ok: true; readonly version: number; readonly changed: boolean; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly version: number; readonly problems: readonly Problem[] };

export interface ReadinessFacts {
  readonly configLoaded: boolean;
  /** Every listener of the config, with what keeps it from being open. */
  readonly listeners: readonly { readonly name: string; readonly open: boolean; readonly problem: string | null }[];
  /** Each node that has checks has had its first one. */
  readonly firstHealthRound: boolean;
  readonly draining: boolean;
  /** Sentences that are worth a word, but no reason to send no traffic. Default: none. */
  readonly warnings?: readonly string[];
}

export interface AuditEntry {
  /** `set-wish`, `reload`. */
  readonly action: string;
  /** `app/10.0.0.11:3000`; empty for the process itself. */
  readonly target: string;
  /** `drain`; empty if there is none. */
  readonly value: string;
  readonly result: 'done' | 'refused' | 'failed';
  /** Why it was refused or failed; empty if done. Never holds a secret. */
  readonly reason: string;
  /** Peer's address as the socket says, `unix` for a unix socket. */
  readonly peer: string;
  readonly tookMs: Millis;
}
