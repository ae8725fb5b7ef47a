/**
 * A lock of the cluster, held for as long as this process wants it.
 *
 *   acquire (waits) -> extend each third of the ttl -> release
 *
 * It counts as held until `ttl` after the moment at which the last answered extension was *sent*, on this process's own
 * clock: that is before the cluster may think so. `lost` resolves then, or as soon as the cluster says that it is gone.
 */
import { type AdminTarget, type Answered, askAdmin } from './admin-client.ts';
import { type Fields, refusalOf } from './ha-client.ts';

export interface LockWish {
  readonly name: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly waitMs: number;
}

const askTimeoutMs = 5000;
/** A member that did not hear how a wait ended says so within this, after a hundredth more than its time. */
const unheardMs = 5000;

const fields = ({ json }: Answered): Fields => (typeof json === 'object' && json !== null ? (json as Fields) : {});

export class HeldLock {
  readonly token: number;
  /** Why it is lost. Never rejects. */
  readonly lost: Promise<string>;
  readonly #target: AdminTarget;
  readonly #wish: LockWish;
  #lose: (why: string) => void = () => {};
  #heldUntil: number;
  #timer: NodeJS.Timeout | null = null;
  #isOver = false;

  private constructor(target: AdminTarget, wish: LockWish, grant: { readonly token: number; readonly sentAt: number }) {
    this.#target = target;
    this.#wish = wish;
    this.token = grant.token;
    this.#heldUntil = grant.sentAt + wish.ttlMs;
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    this.#plan(wish.ttlMs / 3);
  }

  /** Throws CommandError if it is not to be had; `owner` must be nobody else's. */
  static async acquire(target: AdminTarget, wish: LockWish): Promise<HeldLock> {
    const path = `/api/ha/locks/${encodeURIComponent(wish.name)}`;
    const { owner, ttlMs, waitMs } = wish;
    try {
      const body = { owner, ttlMs, waitMs };
      const timeoutMs = askTimeoutMs + (waitMs === 0 ? 0 : waitMs * 1.01 + unheardMs);
      const granted = await askAdmin(target, { method: 'POST', path, body, timeoutMs });
      if (granted.status !== 200) throw refusalOf(fields(granted), granted.status);
      const token = Number(fields(granted)['token']);
      // It may have been granted long after it was asked for: held from here on is what this answer says.
      const sentAt = performance.now();
      const extended = await askAdmin(target, { method: 'PUT', path, body: { token, ttlMs } });
      if (extended.status !== 200) throw refusalOf(fields(extended), extended.status);
      return new HeldLock(target, wish, { token, sentAt });
    } catch (error) {
      // It may be held, or waited for, all the same.
      await askAdmin(target, { method: 'DELETE', path, body: { owner } }).catch(() => undefined);
      throw error;
    }
  }

  /** Says why if the cluster did not take it back; it ends by itself then. */
  async release(): Promise<string | null> {
    this.#end();
    try {
      const released = await askAdmin(this.#target, {
        method: 'DELETE',
        path: this.#path(),
        body: { token: this.token },
      });
      return released.status === 200 ? null : refusalOf(fields(released), released.status).message;
    } catch (error) {
      return (error as Error).message;
    }
  }

  #path(): string {
    return `/api/ha/locks/${encodeURIComponent(this.#wish.name)}`;
  }

  #plan(inMs: number): void {
    const left = this.#heldUntil - performance.now();
    this.#timer = setTimeout(() => void this.#extend(), Math.max(0, Math.min(inMs, left)));
  }

  #end(): void {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #lostBecause(why: string): void {
    if (this.#isOver) return;
    this.#end();
    this.#lose(why);
  }

  async #extend(): Promise<void> {
    const { ttlMs } = this.#wish;
    const sentAt = performance.now();
    const left = this.#heldUntil - sentAt;
    if (left <= 0) return this.#lostBecause('it could not be extended in time');
    const timeoutMs = Math.max(1, Math.min(askTimeoutMs, left, ttlMs / 3));
    const answer = await this.#askExtension(timeoutMs);
    if (this.#isOver) return;
    if (answer === 'gone') return this.#lostBecause('the cluster says that it is not held any more');
    if (answer === 'extended') this.#heldUntil = sentAt + ttlMs;
    this.#plan(answer === 'extended' ? ttlMs / 3 : Math.min(1000, ttlMs / 10));
  }

  async #askExtension(timeoutMs: number): Promise<'extended' | 'gone' | 'unknown'> {
    const body = { token: this.token, ttlMs: this.#wish.ttlMs };
    try {
      const answer = await askAdmin(this.#target, { method: 'PUT', path: this.#path(), body, timeoutMs });
      if (answer.status === 200) return 'extended';
      return answer.status === 404 && fields(answer)['reason'] === 'absent' ? 'gone' : 'unknown';
    } catch {
      return 'unknown'; // nobody answered; asked again until the time is over
    }
  }
}
