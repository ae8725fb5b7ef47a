/**
 * This member itself: the only one who may raise its incarnation.
 *
 *   joining --met somebody, or no seeds--> active --leave--> leaving --told enough--> departed
 */
import { assert } from '../../base/assert.ts';
import { subjectOf } from './member-list.ts';
import type { Sender, Subject } from './messages.ts';
import type { Claim, Metadata } from './model.ts';
import type { SwimOptions } from './settings.ts';
import { bootMax, isAddress, isMemberId, isMemberName, isMetadata } from './valid.ts';

export type Phase = 'joining' | 'active' | 'leaving' | 'departed';

export class Self {
  #claim: Claim;
  #phase: Phase = 'joining';

  constructor(options: SwimOptions['self']) {
    const { id, boot, name, address, metadata } = options;
    assert(isMemberId(id), `member id '${id}' is not 32 lower-case hexadecimal digits`);
    assert(isMemberName(name), `member name '${name}' must be 1 to 63 letters, digits, '.', '_' or '-'`);
    assert(isAddress(address), `member address '${address}' is not host:port`);
    assert(isMetadata(metadata), `metadata of member '${name}' is out of bounds: ${JSON.stringify(metadata)}`);
    assert(Number.isInteger(boot) && boot >= 0 && boot <= bootMax, `boot ${boot} of member '${name}' is out of bounds`);
    this.#claim = { id, boot, incarnation: 0, name, address, joining: true, metadata };
  }

  get claim(): Claim {
    return this.#claim;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Takes part: probes, gossips, accuses. A leaver still gossips. */
  get gossips(): boolean {
    return this.#phase === 'active' || this.#phase === 'leaving';
  }

  get gone(): boolean {
    return this.#phase === 'leaving' || this.#phase === 'departed';
  }

  sender(score: number): Sender {
    return { ...this.subject(), score };
  }

  subject(): Subject {
    return subjectOf(this.#claim);
  }

  become(phase: Phase): void {
    this.#phase = phase;
    if (phase === 'active') this.#claim = { ...this.#claim, joining: false, incarnation: this.#claim.incarnation + 1 };
  }

  /** Answers a word about this member, of its own or a higher incarnation, with a newer one. */
  overrule(incarnation: number): void {
    this.#claim = { ...this.#claim, incarnation: incarnation + 1 };
  }

  describe(metadata: Metadata): void {
    assert(
      isMetadata(metadata),
      `metadata of member '${this.#claim.name}' is out of bounds: ${JSON.stringify(metadata)}`,
    );
    this.#claim = { ...this.#claim, metadata, incarnation: this.#claim.incarnation + 1 };
  }
}
