/**
 * Who sees whom, in clusters of at most 32. Each member tells by gossip which living members it could not reach by
 * itself (neither by datagram nor by stream) at its last two probes of them, and only when that changes: in a healthy
 * cluster nobody is blind to anybody and nothing is sent. A one-way partition that indirect probes hide from the failure
 * detector shows here.
 */
import type { MemberId } from '../../base/ids.ts';
import type { Core } from './core.ts';
import type { Sight } from './messages.ts';
import { sightMembersMax } from './model.ts';

/** One probe in a row may be lost by bad luck. */
const missesMin = 2;

export class OwnSight {
  readonly #core: Core;
  #blindTo: readonly MemberId[] = [];
  #number = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  get blindTo(): readonly MemberId[] {
    return this.#blindTo;
  }

  /** After every probe. */
  refresh(): void {
    const { list, queue } = this.#core;
    if (list.living >= sightMembersMax) {
      this.#blindTo = [];
      return;
    }
    const blind = list.all().filter((member) => member.living && member.missed >= missesMin);
    const ids = blind.map((member) => member.claim.id).sort();
    if (ids.length === this.#blindTo.length && ids.every((id, i) => id === this.#blindTo[i])) return;
    this.#blindTo = ids;
    this.#number++;
    queue.add(this.#sight());
  }

  /** Null if there was never anything to tell. */
  told(): Sight | null {
    return this.#number === 0 ? null : this.#sight();
  }

  #sight(): Sight {
    const { id, boot } = this.#core.self.claim;
    return { kind: 'sight', id, boot, number: this.#number, blindTo: this.#blindTo };
  }
}
