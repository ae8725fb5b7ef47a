/**
 * Waiting for a condition, never for a time. A look that throws counts as "not yet"; what was seen last is part of the
 * error, so that a red run says what was missing.
 */

/** How long anything may take: a bound for what hangs, not for what is slow on a machine with much else to do. */
export const patienceMs = 50_000;

export interface PollOptions {
  readonly withinMs?: number;
  readonly everyMs?: number;
}

/** Resolves with the first truthy value that `look` gives. Rejects after `withinMs` (default `patienceMs`). */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  options: PollOptions = {},
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const within = options.withinMs ?? patienceMs;
  const deadline = performance.now() + within;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen) return seen as Exclude<T, false | null | undefined | 0 | ''>;
      last = seen;
    } catch (error) {
      last = error instanceof Error ? error.message : error;
    }
    if (performance.now() > deadline) throw new Error(`${what}: not within ${within} ms; seen last: ${show(last)}`);
    await pause(options.everyMs ?? 10);
  }
}

/** Gives the promise's value, or rejects after `withinMs` with a message that names what was awaited. */
export async function within<T>(what: string, promise: Promise<T>, withinMs = patienceMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${withinMs} ms`)), withinMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** One step of a poll or the pace of a load. A test never waits with it for something to have happened. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const show = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
