/** A broken invariant is a bug of ours, never a peer's input: it stays checked in production. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a switch over a union as complete; reached only if a case is missing. */
export function assertNever(value: never, what: string): never {
  throw new AssertionError(`${what}: unexpected ${JSON.stringify(value)}`);
}

export class AssertionError extends Error {
  override name = 'AssertionError';
}
