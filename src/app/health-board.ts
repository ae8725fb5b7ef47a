/**
 * Health into the scoreboard: what the monitor thinks of a node becomes two words that every data thread reads, and a
 * bump of its pool's `changes`, upon which they look. No message is sent.
 *
 * A node on probation is tried by one request: the thread that gets `probationTaken` from 0 to 1. If nothing is heard of
 * that request (its client left, its thread died), the right to try is given again after a while. It is for requests that
 * may be sent again if that fails; where none comes (a pool that takes nothing but POST), for any, or the node would stay
 * out for ever.
 */
import type { Millis } from '../base/ids.ts';
import type { Fitness, NodeHealthView } from '../health/contract.ts';
import { nodeCell, nodeState, poolCell, weightScale } from '../scoreboard/layout.ts';
import { nodeLine, poolLine, type Scoreboard } from '../scoreboard/scoreboard.ts';

const stateOf: Record<Fitness, number> = { fit: nodeState.fit, probation: nodeState.probation, unfit: 0 };
const probationHeld: Millis = 30_000;
const anyAfter: Millis = 5000;

interface Probation {
  readonly pool: number;
  /** Seen first by freeProbation(): that it is being tried, or that it waits to be. */
  takenAt: Millis | null;
  waitsSince: Millis | null;
}

export class HealthBoard {
  readonly #board: Scoreboard;
  readonly #onProbation = new Map<number, Probation>();

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
    const anyMayTry = fresh ? 0 : lines[line + nodeCell.state]! & nodeState.anyMayTry;
    if (view.fitness !== 'probation') this.#onProbation.delete(place.node);
    else if (fresh || !this.#onProbation.has(place.node))
      this.#onProbation.set(place.node, { pool: place.pool, takenAt: null, waitsSince: null });
    // A weight too small for a thousandth still means: some traffic.
    const weight = view.weight > 0 ? Math.max(1, Math.round(view.weight * weightScale)) : 0;
    lines[line + nodeCell.weight] = weight;
    lines[line + nodeCell.state] = stateOf[view.fitness] | anyMayTry;
    Atomics.add(lines, poolLine(place.pool) + poolCell.changes, 1);
  }

  /** Gives the right to try a node again where it was taken long ago, and to any request where none took it. Call it now and then. */
  freeProbation(now: Millis): void {
    for (const [slot, probation] of this.#onProbation) {
      if (this.#board.lines[nodeLine(slot) + nodeCell.probationTaken] === 0) this.#waits(slot, probation, now);
      else this.#isTried(slot, probation, now);
    }
  }

  #waits(slot: number, probation: Probation, now: Millis): void {
    const { lines } = this.#board;
    const state = nodeLine(slot) + nodeCell.state;
    probation.takenAt = null;
    probation.waitsSince ??= now;
    if (now - probation.waitsSince < anyAfter || (lines[state]! & nodeState.anyMayTry) !== 0) return;
    lines[state]! |= nodeState.anyMayTry;
    this.#changed(probation);
  }

  #isTried(slot: number, probation: Probation, now: Millis): void {
    probation.waitsSince = null;
    probation.takenAt ??= now;
    if (now - probation.takenAt < probationHeld) return;
    probation.takenAt = null;
    this.#board.lines[nodeLine(slot) + nodeCell.probationTaken] = 0;
    this.#changed(probation);
  }

  #changed({ pool }: Probation): void {
    Atomics.add(this.#board.lines, poolLine(pool) + poolCell.changes, 1);
  }

  /** The nodes in all other slots are gone. */
  keepOnly(slots: ReadonlySet<number>): void {
    for (const slot of this.#onProbation.keys()) if (!slots.has(slot)) this.#onProbation.delete(slot);
  }
}
