/** Waiting until something is so. Whoever changes what conditions look at calls check(). */
import type { Millis } from '../base/ids.ts';

interface Waiter {
  readonly condition: () => boolean;
  readonly done: (reached: boolean) => void;
}

export class Conditions {
  readonly #waiters = new Set<Waiter>();

  /** Resolves true once the condition holds, false after the deadline (null: none) or at end(). */
  until(condition: () => boolean, deadline: Millis | null): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = deadline === null ? undefined : setTimeout(() => waiter.done(condition()), deadline);
      const waiter: Waiter = {
        condition,
        done: (reached) => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve(reached);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  check(): void {
    for (const waiter of [...this.#waiters]) if (waiter.condition()) waiter.done(true);
  }

  end(): void {
    for (const waiter of [...this.#waiters]) waiter.done(false);
  }
}
