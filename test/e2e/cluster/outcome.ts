/** What an answer says of what was asked. */
import type { Reply } from './api.ts';

/** It surely had no effect. Anything that the API should not say in such a test is an error. */
export function wasRefused(reply: Reply): boolean {
  if (!reply.got) return !reply.sent;
  if (reply.status === 503) return reply.body['reason'] !== 'closed';
  if (reply.status === 504) return false;
  throw new Error(`unexpected answer: ${JSON.stringify(reply)}`);
}

/** Its failure is told where it is awaited, not before. */
export function kept(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}

/** How long a client waits for an answer, ms: some longer than a member does, some not. */
export const patience = (): number => 1500 + Math.random() * 5500;
