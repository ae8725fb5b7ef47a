/**
 * Which counters of a sender were seen: a bitmap of 1024 behind the highest, as in RFC 4303 (3.4.3) and WireGuard.
 * What is older than the window is dropped too. A look (`knows`) is free; only an authentic frame moves the window.
 */
export const replayWindow = 1024;

export class ReplayWindow {
  readonly #bits = new Uint32Array(replayWindow / 32);
  #highest = -1;

  /** Seen before, or too old to tell. */
  knows(counter: number): boolean {
    if (counter > this.#highest) return false;
    if (this.#highest - counter >= replayWindow) return true;
    return (this.#bits[this.#word(counter)]! & (1 << (counter % 32))) !== 0;
  }

  /** To be called for authentic frames only, after `knows` said no. */
  mark(counter: number): void {
    if (counter > this.#highest) {
      const from = Math.max(this.#highest + 1, counter - replayWindow + 1);
      if (counter - this.#highest >= replayWindow) this.#bits.fill(0);
      else for (let passed = from; passed <= counter; passed++) this.#clear(passed);
      this.#highest = counter;
    }
    this.#bits[this.#word(counter)]! |= 1 << (counter % 32);
  }

  #clear(counter: number): void {
    this.#bits[this.#word(counter)]! &= ~(1 << (counter % 32));
  }

  // Counters have 48 bits: no bit operator on them before they are reduced.
  #word(counter: number): number {
    return Math.floor(counter / 32) % this.#bits.length;
  }
}
