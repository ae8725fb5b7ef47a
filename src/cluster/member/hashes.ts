/**
 * States compared (8.4): each 1 000 entries every member tells the hash of its state at that index to all who belong. A
 * member that a majority of the voters contradicts stops; of two voters, the one that does not lead. It says so, and
 * joins again with an empty disk.
 */
import type { MemberId } from '../../base/ids.ts';
import { isMember, members } from '../raft/model.ts';
import { type Hash64, hashText } from '../replica/fingerprint.ts';
import type { Agreement } from './agreement.ts';
import type { Core } from './core.ts';

/** Indexes that are remembered. */
const keptMax = 8;

export class Hashes {
  readonly #core: Core;
  readonly #agreement: Agreement;
  readonly #told = new Map<number, Map<MemberId, string>>();

  constructor(core: Core, agreement: Agreement) {
    this.#core = core;
    this.#agreement = agreement;
  }

  own(index: number, hash: Hash64): void {
    const { config } = this.#agreement.status;
    for (const to of members(config)) if (to !== this.#core.uid) this.#core.say(to, { kind: 'hash', index, hash });
    this.heard(this.#core.uid, index, hash);
  }

  heard(from: MemberId, index: number, hash: Hash64): void {
    const { config } = this.#agreement.status;
    if (!isMember(config, from)) return;
    const at = this.#told.get(index) ?? new Map<MemberId, string>();
    at.set(from, hashText(hash));
    this.#told.set(index, at);
    const oldest = Math.min(...this.#told.keys());
    if (this.#told.size > keptMax) this.#told.delete(oldest);
    this.#judge(index, at);
  }

  #judge(index: number, told: ReadonlyMap<MemberId, string>): void {
    const { uid, options } = this.#core;
    const own = told.get(uid);
    if (own === undefined) return;
    const { config, leader } = this.#agreement.status;
    const { voters } = config;
    const against = voters.filter((id) => told.has(id) && told.get(id) !== own);
    if (against.length === 0) return;
    const votes = against.filter((id) => told.get(id) === told.get(against[0]!)).length;
    const outvoted = votes > voters.length / 2 || (voters.length <= 2 && leader !== uid);
    if (!outvoted) return;
    this.#core.stop(
      'diverged',
      `the agreed state of ${options.name} at entry ${index} differs from that of the other voters: keep its data folder for a report, and start it with an empty one`,
    );
  }
}
