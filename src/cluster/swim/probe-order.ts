/**
 * Round robin over a shuffled list (SWIM, 4.3): every member is probed once per pass, so that the time until a crash is
 * seen is bounded by two passes. A new member comes in at a random place; after each pass the list is shuffled anew.
 */
import type { Random } from '../../base/random.ts';
import type { Member } from './member-list.ts';

export class ProbeOrder {
  readonly #random: Random;
  #ring: Member[] = [];
  #at = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  add(member: Member): void {
    if (member.inProbeOrder) return;
    member.inProbeOrder = true;
    this.#ring.push(member);
    this.#swap(this.#ring.length - 1, this.#random.below(this.#ring.length));
  }

  next(): Member | undefined {
    for (let passes = 0; passes < 2; passes++) {
      while (this.#at < this.#ring.length) {
        const member = this.#ring[this.#at++]!;
        if (member.living) return member;
      }
      this.#newPass();
    }
    return undefined;
  }

  #newPass(): void {
    for (const member of this.#ring) member.inProbeOrder = member.living;
    this.#ring = this.#ring.filter((member) => member.inProbeOrder);
    for (let i = this.#ring.length - 1; i > 0; i--) this.#swap(i, this.#random.below(i + 1));
    this.#at = 0;
  }

  #swap(i: number, j: number): void {
    const member = this.#ring[i]!;
    this.#ring[i] = this.#ring[j]!;
    this.#ring[j] = member;
  }
}
