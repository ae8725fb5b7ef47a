/**
 * Pools whose epoch is about to move, by what is in this member's own log and not applied yet (2.8).
 *
 *   own log   ... applied | appended: pool app --> pending(8) | ...
 *   state     open(7)       so nothing of 7 is allowed from here on, committed or not
 *   truncated by a new leader: open(7) again
 *
 * With one or two voters nothing else ends a voter's right to write: each takes its own acceptance for it. So what is
 * found here is told before the acknowledgement can leave, and asked at each grant. A snapshot that takes the place of
 * the log may hold anything: until it is applied, no pool is open.
 */
import type { PoolRecord } from '../failover/model.ts';
import type { Entry, Index, Term } from '../raft/model.ts';
import { decodeProposal } from '../replica/codec.ts';
import type { Replica } from '../replica/replica.ts';

/** The own log, as far as it is needed here. */
export interface OwnLog {
  readonly firstIndex: Index;
  readonly lastIndex: Index;
  term(index: Index): Term | null;
  entry(index: Index): Entry | undefined;
}

interface Move {
  readonly index: Index;
  readonly term: Term;
  /** null: an entry that can't be read here: it may be of any pool. */
  readonly record: PoolRecord | null;
}

/** The version that brought changes of pools; entries of older ones need not be read. */
const firstVersion = 2;

export class Moving {
  readonly #log: () => OwnLog;
  readonly #replica: () => Replica;
  readonly #tell: (pool: string) => void;
  /** Looked at up to here. */
  #seen: { readonly index: Index; readonly term: Term | null } = { index: 0, term: null };
  #moves: readonly Move[] = [];
  /** A snapshot is on its way in. */
  #blind = false;

  /** `tell`: this pool's open epoch is about to move. */
  constructor(parts: {
    readonly log: () => OwnLog;
    readonly replica: () => Replica;
    readonly tell: (pool: string) => void;
  }) {
    this.#log = parts.log;
    this.#replica = parts.replica;
    this.#tell = parts.tell;
  }

  /** The epoch in which writes of this pool may go as far as this member has accepted the log; null: in none. */
  openEpoch(pool: string): number | null {
    this.look();
    const open = this.#replica().pools.openEpoch(pool);
    if (open === null || this.#blind) return null;
    return this.#moves.some((move) => this.#ends(move, pool, open)) ? null : open;
  }

  /** Looks at what has come into the log, or gone from it, since the last time. */
  look(): void {
    const log = this.#log();
    const replica = this.#replica();
    const wasBlind = this.#blind;
    this.#blind = log.firstIndex - 1 > replica.index;
    if (this.#blind) {
      this.#moves = [];
      if (!wasBlind) this.#tellAll();
      return;
    }
    const { index, term } = this.#seen;
    const isWhole = index > replica.index && log.term(index) === term;
    const known = this.#moves.filter((move) => move.index > replica.index && log.term(move.index) === move.term);
    const from = isWhole ? index : replica.index;
    const found = this.#read(log, from).filter(({ index: at }) => known.every((move) => move.index !== at));
    this.#moves = [...known, ...found];
    this.#seen = { index: log.lastIndex, term: log.term(log.lastIndex) };
    for (const move of found) this.#told(move);
  }

  #read(log: OwnLog, from: Index): Move[] {
    const found: Move[] = [];
    for (let index = from + 1; index <= log.lastIndex; index++) {
      const entry = log.entry(index);
      if (entry?.kind !== 'data' || (entry.data[0] ?? 0) < firstVersion) continue;
      const decoded = decodeProposal(entry.data);
      const { term } = entry;
      if (!decoded.ok) {
        if (decoded.error === 'version') found.push({ index, term, record: null });
      } else if (decoded.value.command.kind === 'pool') {
        found.push({ index, term, record: decoded.value.command.record });
      }
    }
    return found;
  }

  #told(move: Move): void {
    if (move.record === null) return this.#tellAll();
    const { pool } = move.record;
    const open = this.#replica().pools.openEpoch(pool);
    if (open !== null && this.#ends(move, pool, open)) this.#tell(pool);
  }

  #tellAll(): void {
    for (const { pool, phase } of this.#replica().pools.list()) if (phase === 'open') this.#tell(pool);
  }

  /** A change that leaves the open epoch as it is stops nobody's writes. */
  #ends({ record }: Move, pool: string, open: number): boolean {
    if (record === null) return true;
    return record.pool === pool && !(record.phase === 'open' && record.epoch === open);
  }
}
