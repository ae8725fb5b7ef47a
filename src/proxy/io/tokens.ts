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

function mac(key: Uint8Array, pool: string, text: string): Buffer {
  return createHmac('sha256', key).update(`evenkeel read-after-write\0${pool}\0${text}`).digest().subarray(0, macBytes);
}

/** The field line that gives the client its token. */
export function tokenField(key: Uint8Array, pool: string, to: Carrier & { token: Token; secure: boolean }): string {
  const text = tokenText(to.token);
  const signed = `${text}.${mac(key, pool, text).toString('base64url')}`;
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
  const given = Buffer.from(signed.slice(dot + 1), 'base64url');
  if (given.length !== macBytes || !timingSafeEqual(given, mac(key, pool, text))) return 'forged';
  return readTokenText(text) ?? 'forged';
}
