/**
 * The way out.
 *
 *   stop for a while   leadership handed on, gossip told                                        -> departed
 *   leave for good     kept on disk, so that it gives itself no leave to write from now on (2.8),
 *                      out of the configuration, gossip told                                    -> departed
 *
 * Who leaves for good and is started again before it is out goes on leaving. Who is on its way out for a while can't
 * leave for good any more: it is asked so after it was started again.
 */
import type { Millis } from '../../base/ids.ts';
import { err, ok } from '../../base/result.ts';
import { isMember } from '../raft/model.ts';
import type { Agreement } from './agreement.ts';
import type { Askings } from './asking.ts';
import type { Core } from './core.ts';
import { isPassing, refusedChange } from './refusals.ts';
import type { Told } from './words.ts';
import type { Done } from './writes.ts';

/** Leadership is handed on within this, or not at all. */
const handOverMs = 1500;

export interface LeaveParts {
  readonly agreement: Agreement;
  readonly askings: Askings;
  /** Tells gossip; `departed` follows. */
  readonly tellGossip: () => void;
  /** Keeps on disk that this member is on its way out. */
  readonly keep: (then: () => void) => void;
}

export class Leave {
  readonly #core: Core;
  readonly #parts: LeaveParts;
  readonly #waiting: Done[] = [];
  #state: 'none' | 'keeping' | 'removing' | 'handing-over' | 'telling' = 'none';
  #until: Millis = Number.POSITIVE_INFINITY;
  #ask: number | null = null;

  constructor(core: Core, parts: LeaveParts) {
    this.#core = core;
    this.#parts = parts;
  }

  begin(forGood: boolean, done: Done): void {
    const { config, role } = this.#parts.agreement.status;
    const alone = config.voters.length === 1 && config.voters[0] === this.#core.uid;
    if (forGood && alone && config.learners.length > 0) {
      return done(err({ kind: 'change-refused', why: 'no-quorum-after' }));
    }
    const stays = forGood && !alone && isMember(config, this.#core.uid);
    if (this.#state !== 'none' && stays && !this.#core.leavingForGood) return done(err({ kind: 'closed' }));
    if (this.#core.phase === 'departed') return done(ok({ kind: 'done' }));
    this.#waiting.push(done);
    if (this.#state !== 'none') return;
    this.#core.phase = 'leaving';
    this.#core.effect({ kind: 'void-leases', why: 'removed' });
    if (stays) {
      this.#state = 'keeping';
      return this.#parts.keep(() => this.#remove());
    }
    this.#state = 'handing-over';
    this.#until = this.#core.now + handOverMs;
    if (role === 'leader' && !alone) this.#parts.agreement.step({ kind: 'transfer', to: null });
    this.tick();
  }

  /** Started anew on its way out. */
  resume(): void {
    this.#core.phase = 'leaving';
    this.#state = 'keeping';
    this.#remove();
  }

  #remove(): void {
    this.#state = 'removing';
    const { uid, book, options } = this.#core;
    book.note(uid, options.address, options.name);
    const ask = { kind: 'change', change: 'remove', member: uid, force: false } as const;
    this.#ask = this.#parts.askings.ask(ask, (told) => this.#told(told));
  }

  /** The leader says `done` once it is committed. Refused for a reason that stays: whoever asked is told; it goes on trying. */
  #told(told: Told): void {
    if (told.kind === 'done') return this.#tell();
    if (told.kind === 'refused' && !isPassing(told.why) && told.why !== 'not-member') {
      const refused = refusedChange(told.why);
      for (const done of this.#waiting.splice(0)) done(err(refused));
    }
    this.tick();
  }

  tick(): void {
    if (this.#state === 'handing-over') this.#handOver();
    if (this.#state === 'removing' && this.#isOut()) this.#tell();
  }

  #handOver(): void {
    const { role, config } = this.#parts.agreement.status;
    if (role === 'leader' && config.voters.length > 1 && this.#core.now < this.#until) return;
    this.#tell();
  }

  #isOut(): boolean {
    const { config, configCommitted } = this.#parts.agreement.status;
    return configCommitted && config.voters.length > 0 && !isMember(config, this.#core.uid);
  }

  #tell(): void {
    this.#state = 'telling';
    this.#until = Number.POSITIVE_INFINITY;
    if (this.#ask !== null) this.#parts.askings.drop(this.#ask);
    this.#parts.tellGossip();
  }

  wakeAt(): Millis {
    return this.#until;
  }

  /** Gossip has told enough others. */
  departed(): void {
    this.#core.phase = 'departed';
    for (const done of this.#waiting.splice(0)) done(ok({ kind: 'done' }));
    this.#core.effect({ kind: 'departed' });
  }
}
