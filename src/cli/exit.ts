/** How a command ends. Scripts rely on these numbers: they are only ever added to. */
export const exitCode = {
  ok: 0,
  /** A check failed, or evenkeel could not start. */
  failed: 1,
  /** The command line was not understood. */
  usage: 2,
  /** evenkeel runs, and a pool has no node that is fit, or the cluster has no quorum. */
  unhealthy: 3,
  /** The admin API did not answer. */
  unreachable: 4,
} as const;

/** Ends a command with one line for the user and no stack trace: what happened, to which thing, what to do. */
export class CommandError extends Error {
  override name = 'CommandError';
  readonly code: number;

  constructor(message: string, code: number) {
    super(message);
    this.code = code;
  }
}
