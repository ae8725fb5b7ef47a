/** Names, values and paths of HTTP as they may stand in a config, and the fields that no config may touch. */
import { err, ok, type Result } from '../base/result.ts';
import type { Fault } from './addresses.ts';

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** They say where a message ends or belong to one connection: ours alone to write (RFC 9110, 7.6.1; RFC 9112, 6). */
const framing = new Set([
  'connection',
  'content-length',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Fields that evenkeel sets itself, so that nodes and clients can rely on them. */
const own = new Set([
  'forwarded',
  'proxy-status',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
  'x-request-id',
]);

export function parseFieldName(text: string): Result<string, Fault> {
  if (text.length > 128) return err('is a field name of more than 128 characters');
  return token.test(text) ? ok(text) : err('is not a field name: letters, digits and - only');
}

/** A name under `set` or `remove`. `Host` may be set, and only in requests. */
export function checkEdit(
  name: string,
  where: { readonly side: 'request' | 'response'; readonly remove: boolean },
): Fault | null {
  const lower = name.toLowerCase();
  if (framing.has(lower)) return 'belongs to the framing or to one connection, and is always written by evenkeel';
  if (own.has(lower) || lower.startsWith('x-ha-')) return 'is set by evenkeel itself and cannot be changed here';
  if (lower === 'host' && where.side === 'request' && where.remove) return 'cannot be removed: every request needs one';
  return null;
}

/** ASCII without control characters: what every client and node reads the same way. */
export function parseFieldValue(text: string): Result<string, Fault> {
  if (text.length > 8192) return err('is a field value of more than 8192 characters');
  if (/[\r\n]/.test(text)) return err('has a line break in it, which would start another field');
  if (/[\x00-\x08\x0b-\x1f\x7f]/.test(text)) return err('has a control character in it');
  if (/[^\x00-\x7f]/.test(text)) return err('has a character in it that is not ASCII');
  if (text.trim() !== text) return err('starts or ends with a space, which a receiver would not see');
  return ok(text);
}

/** Upper case. */
export function parseMethod(text: string): Result<string, Fault> {
  const method = text.toUpperCase();
  if (!token.test(method) || method.length > 32) return err('is not a method such as GET or POST');
  if (method === 'CONNECT' || method === 'TRACE') return err('is a method that evenkeel always answers with 405');
  return ok(method);
}

/** A path to be compared with a request's, which has no dot segments and no doubled slashes by then. */
export function parsePath(text: string): Result<string, Fault> {
  if (!text.startsWith('/')) return err('must start with /');
  if (text.length > 4096) return err('is longer than 4096 characters');
  if (/[?#]/.test(text)) return err('has a query or a fragment in it, which no path has');
  if (/[^\x21-\x7e]/.test(text))
    return err('has a space or a special character in it\nwrite it percent-encoded, as in /caf%C3%A9');
  if (/[*]/.test(text)) return err('has a * in it\na path matches as a prefix already: /api matches /api/users');
  if (/\/\/|\/\.{1,2}(\/|$)/.test(text)) {
    return err('would match no request: paths are compared without //, /./ and /../');
  }
  return ok(text);
}

/** The same, and `/v1/` is `/v1`: a prefix ends at a segment's border whether or not that is written. */
export function parsePrefix(text: string): Result<string, Fault> {
  const path = parsePath(text);
  if (!path.ok) return path;
  return ok(path.value === '/' ? '/' : path.value.replace(/\/$/, ''));
}

/** Where a redirect leads: a path, or an http(s) address, with {host}, {path} and {scheme}. */
export function parseRedirect(text: string): Result<string, Fault> {
  if (/[^\x21-\x7e]/.test(text) || text.length > 4096)
    return err('has a space or a special character in it, or is too long');
  const unknown = [...text.matchAll(/\{[^}]*\}?/g)].find(([name]) => !['{host}', '{path}', '{scheme}'].includes(name));
  if (unknown) return err(`has ${unknown[0]} in it, which is not known\nknown are {host}, {path} and {scheme}`);
  if (/^(https?:\/\/[^/]|\{scheme\}:\/\/[^/]|\/|\{path\})/i.test(text)) return ok(text);
  return err('is neither a path nor an address\nwrite https://{host}{path} or /new');
}

/** `200`, `200-399` or `2xx`. Inclusive. */
export function parseStatusRange(text: string): Result<readonly [number, number], Fault> {
  const shape = /^([1-5])xx$/i.exec(text);
  if (shape) return ok([Number(shape[1]) * 100, Number(shape[1]) * 100 + 99]);
  const form = /^([1-5][0-9]{2})(?:\s*-\s*([1-5][0-9]{2}))?$/.exec(text.trim());
  if (!form) return err('is not a status or range such as 200, 200-399 or 2xx');
  const range = [Number(form[1]), Number(form[2] ?? form[1])] as const;
  return range[0] <= range[1] ? ok(range) : err('is a range that ends before it starts');
}
