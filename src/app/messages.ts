/** What the control thread and the data threads say to each other. Everything else they share through the scoreboard. */
import type { EngineEvent, NodeSignal } from '../proxy/outcome.ts';
import type { ListenerSpec, SnapshotPiece } from '../routing/snapshot.ts';
import type { ScoreboardBuffers } from '../scoreboard/scoreboard.ts';

/** Given to a data thread at its start, as workerData. */
export interface ThreadStart {
  readonly thread: number;
  readonly buffers: ScoreboardBuffers;
  readonly seed: number;
  /** 48 bytes that seal TLS session tickets in all threads. */
  readonly ticketKeys: Uint8Array;
  /** 32 bytes that sign the tokens of reads after writes, in all threads and members. */
  readonly tokenKey: Uint8Array;
  readonly access: { readonly format: 'json' | 'combined' | 'off'; readonly file: string | null };
}

export type ToThread =
  | { readonly kind: 'snapshot'; readonly pieces: readonly SnapshotPiece[] }
  | { readonly kind: 'listen'; readonly listeners: readonly ListenerSpec[] }
  /** Other certificates for a TLS listener that is open. */
  | { readonly kind: 'renew'; readonly slot: number; readonly tls: ListenerSpec['tls'] }
  | { readonly kind: 'ticket-keys'; readonly keys: Uint8Array }
  | { readonly kind: 'token-key'; readonly key: Uint8Array }
  | { readonly kind: 'unlisten'; readonly slots: readonly number[] }
  /** Stop accepting, close what is idle, answer the rest with Connection: close. */
  | { readonly kind: 'drain' }
  | { readonly kind: 'access'; readonly format: 'json' | 'combined' | 'off'; readonly file: string | null }
  /** SIGUSR2. */
  | { readonly kind: 'reopen-logs' };

export type FromThread =
  /** One message of a snapshot has been worked on: the next may come. Paced so, none makes the thread's loop wait. */
  | { readonly kind: 'taken' }
  /** A snapshot of this version is in force. */
  | { readonly kind: 'swapped'; readonly version: number }
  | { readonly kind: 'listening'; readonly slots: readonly number[] }
  | { readonly kind: 'renewed'; readonly slot: number }
  /** Of opening or renewing. */
  | { readonly kind: 'listen-failed'; readonly slot: number; readonly code: string; readonly message: string }
  | { readonly kind: 'unlistened'; readonly slots: readonly number[] }
  | { readonly kind: 'signals'; readonly signals: readonly NodeSignal[] }
  | { readonly kind: 'events'; readonly events: readonly EngineEvent[] }
  /** No client connection is left after a drain. */
  | { readonly kind: 'drained' };
