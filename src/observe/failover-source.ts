/** A pool with failover as this member sees it, as plain data for metrics. */
import type { Millis } from '../base/ids.ts';

export interface ObservedFailover {
  readonly pool: string;
  /** Row in the scoreboard. */
  readonly slot: number;
  readonly state: string;
  readonly epoch: number;
  readonly writesSent: boolean;
  readonly automatic: boolean;
  readonly linkFault: boolean;
  /** Members whose policy differs. */
  readonly differing: number;
  /** Agreed time; 0: never. */
  readonly lastFailoverAt: Millis;
  /** 0: there was none. */
  readonly lastChangeMs: Millis;
  /** By reason, since the start of the process. */
  readonly changes: ReadonlyMap<string, number>;
}
