/**
 * Addresses at which to look for the cluster. Each is tried until a living member answers there, with growing pauses,
 * for ever: a seed that was down at our start is found when it comes, and two halves that formed apart meet. While the
 * member that answered at a seed lives, the seed is left alone.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Core } from './core.ts';
import type { Address } from './model.ts';
import type { Streams } from './streams.ts';
import type { Syncs } from './syncs.ts';

interface Seed {
  readonly address: Address;
  /** Who answered there last. */
  who: MemberId | null;
  failures: number;
  nextAt: Millis;
  waiting: boolean;
}

export class Seeds {
  readonly #core: Core;
  readonly #streams: Streams;
  readonly #syncs: Syncs;
  #seeds = new Map<Address, Seed>();

  constructor(core: Core, parts: { readonly streams: Streams; readonly syncs: Syncs }) {
    this.#core = core;
    this.#streams = parts.streams;
    this.#syncs = parts.syncs;
  }

  /** Replaces the seeds; what is known of those that stay is kept. Our own address is none. */
  set(addresses: readonly Address[], now: Millis): void {
    const before = this.#seeds;
    this.#seeds = new Map();
    for (const address of addresses) {
      if (address === this.#core.self.claim.address) continue;
      const known = before.get(address);
      this.#seeds.set(address, known ?? { address, who: null, failures: 0, nextAt: now, waiting: false });
    }
  }

  get size(): number {
    return this.#seeds.size;
  }

  wakeAt(): Millis {
    let at = Number.POSITIVE_INFINITY;
    if (this.#core.self.gone) return at;
    for (const seed of this.#seeds.values()) if (!seed.waiting) at = Math.min(at, seed.nextAt);
    return at;
  }

  tick(now: Millis): void {
    if (this.#core.self.gone) return;
    for (const seed of this.#seeds.values()) {
      if (seed.waiting || seed.nextAt > now) continue;
      if (this.#isMet(seed)) seed.nextAt = now + this.#core.settings.seedRetryMaxMs;
      else this.#try(seed, now);
    }
  }

  answered(address: Address, who: MemberId, now: Millis): void {
    const seed = this.#seeds.get(address);
    if (seed === undefined) return;
    seed.waiting = false;
    seed.who = who;
    this.#pause(seed, now);
    if (this.#isMet(seed)) seed.failures = 0;
  }

  failed(address: Address, now: Millis): void {
    const seed = this.#seeds.get(address);
    if (seed === undefined) return;
    seed.waiting = false;
    this.#pause(seed, now);
  }

  #try(seed: Seed, now: Millis): void {
    seed.waiting = true;
    const purpose = { kind: 'seed', seed: seed.address } as const;
    this.#streams.open(seed.address, this.#syncs.request(), {
      purpose,
      timeoutMs: this.#core.settings.syncTimeoutMs,
      now,
    });
  }

  /** A living member, or this one under another of its addresses, is behind it. */
  #isMet(seed: Seed): boolean {
    const { self, list } = this.#core;
    if (seed.who === self.claim.id) return true;
    if (self.phase === 'joining') return false;
    if (seed.who !== null && list.get(seed.who)?.living === true) return true;
    return list.all().some((member) => member.living && member.claim.address === seed.address);
  }

  /** 1, 2, 4, 8, 15 s, each spread by a quarter, so that members started together do not call in step. */
  #pause(seed: Seed, now: Millis): void {
    const { seedRetryMs, seedRetryMaxMs } = this.#core.settings;
    const span = Math.min(seedRetryMaxMs, seedRetryMs * 2 ** Math.min(seed.failures, 16));
    seed.failures++;
    seed.nextAt = now + span * (0.75 + this.#core.random.next() * 0.25);
  }
}
