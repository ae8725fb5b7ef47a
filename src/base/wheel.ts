/**
 * One coarse timing wheel for all deadlines of a thread (after Varghese and Lauck, 1987).
 *
 * A deadline is a number on the object that has it. Pushing a deadline further away, which every request does several
 * times, only writes that number: the object stays in its slot, and when the slot's turn comes it is put where it
 * belongs by then. Only an earlier deadline moves the object at once. So a request costs no timer and no allocation;
 * what expires does so up to one tick late.
 */
import type { Millis } from './ids.ts';

export abstract class Timed {
  /** When expire() is due, in the wheel's monotonic ms; Infinity = never. Set through Wheel.arm. */
  deadline = Number.POSITIVE_INFINITY;
  /** The wheel's own: tick at which the object is looked at; -1 = not in the wheel. */
  wheelTick = -1;
  wheelNext: Timed | null = null;
  wheelPrevious: Timed | null = null;

  /** The deadline has passed. It is cleared before the call. */
  abstract expire(now: Millis): void;
}

class Slot extends Timed {
  override expire(): void {}
}

export class Wheel {
  readonly tickMs: Millis;
  readonly #slots: Slot[];
  readonly #mask: number;
  #tick: number;

  /** `slots` must be a power of two; tickMs x slots is the horizon, beyond which an object is looked at in passing. */
  constructor(options: { readonly tickMs: Millis; readonly slots: number; readonly now: Millis }) {
    this.tickMs = options.tickMs;
    this.#slots = Array.from({ length: options.slots }, () => new Slot());
    for (const slot of this.#slots) slot.wheelNext = slot.wheelPrevious = slot;
    this.#mask = options.slots - 1;
    this.#tick = Math.floor(options.now / options.tickMs);
  }

  /** Sets an object's deadline. Infinity keeps it in the wheel, unarmed; remove() takes it out. */
  arm(timed: Timed, deadline: Millis): void {
    timed.deadline = deadline;
    if (deadline === Number.POSITIVE_INFINITY) return;
    const tick = this.#tickOf(deadline);
    if (timed.wheelTick !== -1) {
      if (timed.wheelTick <= tick) return;
      unlink(timed);
    }
    this.#link(timed, tick);
  }

  remove(timed: Timed): void {
    timed.deadline = Number.POSITIVE_INFINITY;
    if (timed.wheelTick === -1) return;
    unlink(timed);
  }

  /** Expires what is due at `now`. An object may arm or remove any object, itself included, while it expires. */
  advance(now: Millis): void {
    const last = Math.floor(now / this.tickMs);
    // After a long stall each slot is visited once, not once per missed tick.
    if (last - this.#tick > this.#mask) this.#tick = last - this.#mask - 1;
    while (this.#tick < last) {
      this.#tick++;
      this.#visit(this.#slots[this.#tick & this.#mask]!, now);
    }
  }

  #visit(slot: Slot, now: Millis): void {
    // The list is taken out first: what is armed again meanwhile may come into the same slot.
    if (slot.wheelNext === slot) return;
    const due = new Slot();
    due.wheelNext = slot.wheelNext;
    due.wheelPrevious = slot.wheelPrevious;
    due.wheelNext!.wheelPrevious = due;
    due.wheelPrevious!.wheelNext = due;
    slot.wheelNext = slot.wheelPrevious = slot;
    try {
      while (due.wheelNext !== due) {
        const timed = due.wheelNext!;
        unlink(timed);
        if (timed.deadline <= now) {
          timed.deadline = Number.POSITIVE_INFINITY;
          timed.expire(now);
        } else if (timed.deadline !== Number.POSITIVE_INFINITY) this.#link(timed, this.#tickOf(timed.deadline));
      }
    } finally {
      // One has thrown: those that were not looked at yet are, a tick later.
      for (let timed = due.wheelNext!; timed !== due; timed = due.wheelNext!) {
        unlink(timed);
        this.#link(timed, this.#tick + 1);
      }
    }
  }

  /** The tick at whose visit a deadline has passed, within the horizon. */
  #tickOf(deadline: Millis): number {
    const tick = Math.ceil(deadline / this.tickMs);
    return Math.min(Math.max(tick, this.#tick + 1), this.#tick + this.#mask);
  }

  #link(timed: Timed, tick: number): void {
    const slot = this.#slots[tick & this.#mask]!;
    timed.wheelTick = tick;
    timed.wheelNext = slot;
    timed.wheelPrevious = slot.wheelPrevious;
    slot.wheelPrevious!.wheelNext = timed;
    slot.wheelPrevious = timed;
  }
}

function unlink(timed: Timed): void {
  timed.wheelPrevious!.wheelNext = timed.wheelNext;
  timed.wheelNext!.wheelPrevious = timed.wheelPrevious;
  timed.wheelNext = timed.wheelPrevious = null;
  timed.wheelTick = -1;
}
