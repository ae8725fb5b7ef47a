/**
 * Which nodes may answer the reads of a client that has written (AGREEMENT rules 6.2, 6.3). Pure.
 *
 *   token of this epoch        -> a replica that has reached its position; after a wait the primary
 *   token of an older epoch    -> the same, if the position lies before each fork since; above one the write is lost:
 *                                 the primary, and the client is told
 *   token of a newer epoch, or no live lease here -> wait; nothing here is known to be new enough
 *   token without a position   -> the primary, for a while after the write
 *
 * A token is `1.<epoch>.<position or ->.<wall ms>`, numbers in base 36, and a signature behind a dot (io/tokens.ts).
 */
import type { Millis } from '../base/ids.ts';
import { type Fork, maxForks } from '../scoreboard/primary.ts';

export interface Token {
  readonly epoch: number;
  /** null: the node said none. */
  readonly position: number | null;
  /** Wall time of the answer. */
  readonly at: Millis;
}

export type Need =
  /** Any reader will do. */
  | { readonly kind: 'any' }
  /** A replica that has reached the position, or the primary. */
  | { readonly kind: 'reached'; readonly position: number }
  /** Only the primary. `lost`: the write that the client made is in no node's history any more. */
  | { readonly kind: 'primary'; readonly lost: boolean }
  /** Nobody, for now. */
  | { readonly kind: 'wait' };

/** What this process knows of the pool. */
export interface Known {
  readonly epoch: number;
  /** It may write under that epoch at this moment. */
  readonly live: boolean;
  readonly forks: readonly Fork[];
  /** For tokens without a position: how long the primary is asked. */
  readonly bound: Millis;
  readonly wall: Millis;
}

const any: Need = { kind: 'any' };
const wait: Need = { kind: 'wait' };
const primary: Need = { kind: 'primary', lost: false };

/** What a read has to see. `forged`: it bore a token that is none of ours. */
export function needOf(token: Token | 'forged' | null, known: Known): Need {
  if (token === null) return any;
  if (!known.live) return wait;
  if (token === 'forged') return primary;
  if (token.epoch > known.epoch) return wait;
  const { position } = token;
  if (position === null) return known.wall - token.at < known.bound ? primary : any;
  return token.epoch === known.epoch ? { kind: 'reached', position } : sinceForks(token.epoch, position, known);
}

function sinceForks(epoch: number, position: number, { forks, epoch: present }: Known): Need {
  const since = forks.filter((fork) => fork.epoch > epoch);
  if (since.some((fork) => fork.position !== null && position > fork.position)) return { kind: 'primary', lost: true };
  // A fork that is not known, or was thrown away, may lie below it.
  const whole = since.at(-1)?.epoch === present && (since.length < forks.length || forks.length < maxForks);
  return whole && since.every((fork) => fork.position !== null) ? { kind: 'reached', position } : primary;
}

/** Strict reads see every completed write: of those that this process passed on the highest position is known. */
export function strictNeed(known: Known, passed: number | null): Need {
  if (!known.live) return wait;
  return passed === null ? primary : { kind: 'reached', position: passed };
}

const version = '1';
const digits = /^[0-9a-z]{1,11}$/;

export const tokenText = ({ epoch, position, at }: Token): string =>
  `${version}.${epoch.toString(36)}.${position === null ? '-' : position.toString(36)}.${Math.floor(at).toString(36)}`;

/** The token of a text whose signature was right; null if it is of another version. */
export function readTokenText(text: string): Token | null {
  const [form, epoch = '', position = '', at = '', ...rest] = text.split('.');
  if (form !== version || rest.length > 0 || !digits.test(epoch) || !digits.test(at)) return null;
  if (position !== '-' && !digits.test(position)) return null;
  const token = {
    epoch: Number.parseInt(epoch, 36),
    position: position === '-' ? null : Number.parseInt(position, 36),
    at: Number.parseInt(at, 36),
  };
  return [token.epoch, token.position ?? 0, token.at].every(Number.isSafeInteger) ? token : null;
}

/** A node's X-HA-Position; -1: none, or no whole number below 2^53. */
export function readPosition(field: string | undefined): number {
  if (field === undefined || !/^[0-9]{1,16}$/.test(field)) return -1;
  const position = Number(field);
  return Number.isSafeInteger(position) ? position : -1;
}
