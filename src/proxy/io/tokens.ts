/**
 * The token that a client carries from a write to its reads: signed, so that nobody can make up a position, and bound to
 * its pool. All members have the same key; a token of another key is as good as a forged one.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { PrimaryRow } from '../../routing/snapshot.ts';
import { cookieOf } from '../hash-key.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { readTokenText, type Token, tokenText } from '../read-after-write.ts';

const macBytes = 16;
/** Longer than any of ours. */
const maxToken = 128;

type Carrier = Pick<PrimaryRow['split']['readYourWrites'], 'via' | 'name'>;

function signature(key: Uint8Array, pool: string, text: string): string {
  const hmac = createHmac('sha256', key).update(`evenkeel read-after-write\0${pool}\0${text}`).digest();
  return hmac.subarray(0, macBytes).toString('base64url');
}

/** The field line that gives the client its token. */
export function tokenField(key: Uint8Array, pool: string, to: Carrier & { token: Token; secure: boolean }): string {
  const text = tokenText(to.token);
  const signed = `${text}.${signature(key, pool, text)}`;
  if (to.via === 'header') return `${to.name}: ${signed}\r\n`;
  return `Set-Cookie: ${to.name}=${signed}; Path=/; HttpOnly; SameSite=Lax${to.secure ? '; Secure' : ''}\r\n`;
}

/** The token of a request; null: it bears none. */
export function tokenOf(key: Uint8Array, pool: string, from: Carrier & { head: RequestHead }): Token | 'forged' | null {
  const { head, via, name } = from;
  const signed = via === 'header' ? head.header(name.toLowerCase()) : cookieOf(head.header('cookie'), name);
  if (signed === undefined || signed === '') return null;
  const dot = signed.lastIndexOf('.');
  if (signed.length > maxToken || dot === -1) return 'forged';
  const text = signed.slice(0, dot);
  // As text: several texts of base64 stand for the same bytes, and only one of them is ours.
  const given = Buffer.from(signed.slice(dot + 1));
  const ours = Buffer.from(signature(key, pool, text));
  if (given.length !== ours.length || !timingSafeEqual(given, ours)) return 'forged';
  return readTokenText(text) ?? 'forged';
}
