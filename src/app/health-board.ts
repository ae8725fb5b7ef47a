/**
 * Health into the scoreboard: what the monitor thinks of a node becomes two words that every data thread reads, and a
 * bump of its pool's `changes`, upon which they look. No message is sent.
 *
 * A node on probation is tried by one request: the thread that gets `probationTaken` from 0 to 1. If nothing is heard of
 * that request (its client left, its thread died), the right to try is given again after a while.
 */
import type { Millis } from '../base/ids.ts';
import type { Fitness, NodeHealthView } from '../health/contract.ts';
import { nodeCell, nodeState, poolCell, weightScale } from '../scoreboard/layout.ts';
import { nodeLine, poolLine, type Scoreboard } from '../scoreboard/scoreboard.ts';

const stateOf: Record<Fitness, number> = { fit: nodeState.fit, probation: nodeState.probation, unfit: 0 };
const probationHeld: Millis = 30_000;

export class HealthBoard {
  readonly #board: Scoreboard;
  readonly #onProbation = new Map<number, { readonly pool: number; takenAt: Millis | null }>();

  constructor(board: Scoreboard) {
    this.#board = board;
  }

  /** `fresh`: the fitness is not what was written before. */
  write(view: NodeHealthView, place: { readonly node: number; readonly pool: number }, fresh: boolean): void {
    const { lines } = this.#board;
    const line = nodeLine(place.node);
    if (fresh) {
      lines[line + nodeCell.consecutiveErrors] = 0;
      lines[line + nodeCell.probationTaken] = 0;
    }
    if (view.fitness === 'probation') this.#onProbation.set(place.node, { pool: place.pool, takenAt: null });
    else this.#onProbation.delete(place.node);
    // A weight too small for a thousandth still means: some traffic.
    const weight = view.weight > 0 ? Math.max(1, Math.round(view.weight * weightScale)) : 0;
    lines[line + nodeCell.weight] = weight;
    lines[line + nodeCell.state] = stateOf[view.fitness];
    Atomics.add(lines, poolLine(place.pool) + poolCell.changes, 1);
  }

  /** Gives the right to try a node again where it was taken long ago. Call it now and then. */
  freeProbation(now: Millis): void {
    for (const [slot, probation] of this.#onProbation) {
      const line = nodeLine(slot);
      if (this.#board.lines[line + nodeCell.probationTaken] === 0) probation.takenAt = null;
      else if (probation.takenAt === null) probation.takenAt = now;
      else if (now - probation.takenAt >= probationHeld) {
        probation.takenAt = null;
        this.#board.lines[line + nodeCell.probationTaken] = 0;
        Atomics.add(this.#board.lines, poolLine(probation.pool) + poolCell.changes, 1);
      }
    }
  }

  /** The nodes in all other slots are gone. */
  keepOnly(slots: ReadonlySet<number>): void {
    for (const slot of this.#onProbation.keys()) if (!slots.has(slot)) this.#onProbation.delete(slot);
  }
}
