/** A lock as a record: its bytes, and what can be said of it without its neighbours. */
import type { Millis } from '../../base/ids.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';
import type { Holder, Lock, Waiter } from './model.ts';

export function writeLock(to: ByteWriter, lock: Lock): void {
  to.text(lock.name).number(lock.freeAt);
  to.option(lock.holder, (holder) => {
    to.text(holder.owner).number(holder.token).number(holder.ttlMs).number(holder.delayMs);
    to.number(holder.since).number(holder.expiresAt);
  });
  to.list(lock.queue, (waiter) =>
    to.text(waiter.owner).number(waiter.ttlMs).number(waiter.delayMs).number(waiter.deadline),
  );
}

export function readLock(from: ByteReader): Lock {
  const name = from.text();
  const freeAt = from.number();
  const holder = from.option(
    (): Holder => ({
      owner: from.text(),
      token: from.number(),
      ttlMs: from.number(),
      delayMs: from.number(),
      since: from.number(),
      expiresAt: from.number(),
    }),
  );
  const queue = from.list(
    (): Waiter => ({ owner: from.text(), ttlMs: from.number(), delayMs: from.number(), deadline: from.number() }),
  );
  return { name, holder, freeAt, queue };
}

/** When this lock must be looked at next. */
export function lookAt(lock: Lock): Millis {
  const free = lock.holder?.expiresAt ?? lock.freeAt;
  return lock.queue.reduce((earliest, waiter) => Math.min(earliest, waiter.deadline), free);
}
