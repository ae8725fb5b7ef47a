/**
 * Which snapshots exchanges still hold, so that the control thread knows when a node's slot can be given away. The oldest
 * held version stands in the thread's line of the scoreboard.
 */
import type { Snapshot } from '../../routing/snapshot.ts';
import { threadCell } from '../../scoreboard/layout.ts';
import { type Scoreboard, threadLine } from '../../scoreboard/scoreboard.ts';

/** A snapshot and the number of exchanges that hold it. */
export class Hold {
  readonly snapshot: Snapshot;
  count = 0;

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
  }
}

export class SnapshotHolds {
  readonly #lines: Int32Array;
  readonly #line: number;
  /** Oldest first; the last one is in force. */
  readonly #holds: Hold[] = [];
  current: Hold | null = null;

  constructor(scoreboard: Scoreboard, thread: number) {
    this.#lines = scoreboard.lines;
    this.#line = threadLine(thread);
  }

  swap(snapshot: Snapshot): void {
    this.current = new Hold(snapshot);
    this.#holds.push(this.current);
    Atomics.store(this.#lines, this.#line + threadCell.snapshotVersion, snapshot.version);
    this.#sweep();
  }

  release(hold: Hold): void {
    if (--hold.count === 0 && hold !== this.current) this.#sweep();
  }

  #sweep(): void {
    while (this.#holds.length > 1 && this.#holds[0]!.count === 0) this.#holds.shift();
    Atomics.store(this.#lines, this.#line + threadCell.oldestHeld, this.#holds[0]!.snapshot.version);
  }
}
