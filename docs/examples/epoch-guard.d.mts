import type { IncomingMessage, ServerResponse } from 'node:http';

export interface EpochGuard {
  readonly epoch: number;
  /** True if the request may go on; otherwise it has been answered. */
  admit(request: IncomingMessage, response: ServerResponse): boolean;
}

export function epochGuard(file: string): EpochGuard;
