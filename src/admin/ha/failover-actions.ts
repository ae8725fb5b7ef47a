/**
 * What the admin API may ask of failover. The shell hands it in where a pool has `failover`, in a cluster or alone.
 * Nothing here throws or rejects for bad input.
 */
import type { Millis } from '../../base/ids.ts';
import type { Answer, Read, Written } from '../../cluster/coordinator.ts';
import type { CommandAnswer, FailoverCommand, FailoverEvent, PoolStatus } from '../../cluster/failover/contract.ts';
import type { PoolPolicy } from '../../cluster/failover/model.ts';
import type { CommandResult } from '../../cluster/replica/command.ts';
import type { HistoryEvent } from '../../cluster/replica/model.ts';

export interface FailoverActions {
  /** As this member sees them now. */
  pools(): readonly PoolView[];
  /** Done by the leader, whichever member is asked. */
  command(command: FailoverCommand): Promise<CommandAnswer>;
  /** Events of topic `failover`, after this number. */
  history(after: number): Answer<Read<readonly HistoryEvent[]>>;
  /** Agreed by all: counts before what the file says. null: as in the file; undefined: as it was set. */
  setNode(change: NodeChange): Answer<Written<CommandResult>>;
  /** Of this member, as they happen. Returns how to stop. */
  onEvent(sink: (event: FailoverEvent) => void): () => void;
}

export interface PoolView {
  readonly status: PoolStatus;
  readonly policy: PoolPolicy;
  /** Writes that wait here. */
  readonly parked: number;
  /** Why writes wait here though there is a primary; empty if they don't. */
  readonly lacking: string;
  /** This member's clock, in which status.writeUntil is. */
  readonly now: Millis;
  /** The clock of the record's times. */
  readonly agreedNow: Millis;
}

export interface NodeChange {
  readonly pool: string;
  readonly node: string;
  readonly role: 'replica' | 'standby' | null | undefined;
  readonly priority: number | null | undefined;
}
