/**
 * Text of targets and hosts: what rules look at and what goes on to a node or into a Location.
 *
 * One rule above all: the path is normalised once, before any rule, and that form is matched AND forwarded, so that
 * rule and node can't see two different paths. What is ambiguous only if decoded (`%2F`, `%5C`, `//`, `;`) is left as
 * it is for both. Inputs are request targets as the parser lets them through: bytes 0x21 to 0x7e, no fragment.
 * Sources: RFC 3986 5.2.4 (dot segments), RFC 9110 7.2 (Host).
 */
import type { PathRewrite } from '../config/model.ts';
import { prefixBase } from './path-tree.ts';

const slash = 0x2f;

/**
 * The target with its dot segments resolved: `.` and `..`, also written `%2e`. Clamped at the root; the query is not
 * touched. Returns the same string if there is nothing to do.
 */
export function normalizePath(target: string): string {
  if (target.indexOf('/.') === -1 && (target.indexOf('%') === -1 || !encodedDot.test(target))) return target;
  const path = pathOf(target);
  if (path.charCodeAt(0) !== slash) return target;
  const kept = resolveDots(path);
  return kept === path ? target : kept + target.slice(path.length);
}

const encodedDot = /%2e/i;
const dot = /^(?:\.|%2e)$/i;
const dotDot = /^(?:\.|%2e){2}$/i;

function resolveDots(path: string): string {
  const out: string[] = [];
  const segments = path.split('/');
  const last = segments.length - 1;
  for (let i = 1; i <= last; i++) {
    const segment = segments[i]!;
    const isDotDot = dotDot.test(segment);
    if (isDotDot) out.pop();
    else if (!dot.test(segment)) {
      out.push(segment);
      continue;
    }
    if (i === last) out.push(''); // `/a/..` is `/`, `/a/.` is `/a/`
  }
  return `/${out.join('/')}`;
}

/** The target without its query. */
export function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}

/**
 * The target as the node gets it: the prefix, on a segment border, becomes the replacement; the query stays. The path
 * begins with one slash that is the rewrite's own (`/v1//x` without `/v1` is `/x`), and no dot segment is left in it.
 * A target that does not begin with the prefix is not touched.
 */
export function rewritePath(target: string, rewrite: PathRewrite): string {
  const base = prefixBase(rewrite.prefix);
  const path = pathOf(target);
  if (path.charCodeAt(0) !== slash || !isUnder(path, base)) return target;
  const replacement = prefixBase(rewrite.replacement);
  if (base === '' && replacement === '') return target;
  const rest = path.slice(base.length);
  const joined = replacement.charCodeAt(0) === slash ? replacement + rest : oneSlash(replacement + rest);
  return normalizePath(joined) + target.slice(path.length);
}

/** `base` has no slash at its end; empty = everything. */
function isUnder(path: string, base: string): boolean {
  if (!path.startsWith(base)) return false;
  return path.length === base.length || path.charCodeAt(base.length) === slash;
}

function oneSlash(path: string): string {
  return path.charCodeAt(0) === slash && path.charCodeAt(1) !== slash ? path : path.replace(/^\/*/, '/');
}

/** What a redirect's template may ask for. */
export interface RedirectParts {
  /** Without port; empty if the request named none. */
  readonly host: string;
  /** Normalised, with the query. */
  readonly target: string;
  readonly scheme: 'http' | 'https';
}

/**
 * The Location of a redirect: {host}, {path} (with the query) and {scheme} are filled in, once. All but visible ASCII,
 * and the few visible characters that no URI may hold (a browser reads `\` as `/`), leave percent-encoded, so that no
 * line end can come through. A client's path can't lead to another host: `//evil` at the front becomes `/evil`.
 * null if the template needs a host and the request has none: there is nowhere to send the client.
 */
export function redirectLocation(to: string, parts: RedirectParts): string | null {
  if (parts.host === '' && to.includes('{host}')) return null;
  const path = parts.target.startsWith('/') ? parts.target : '/';
  const filled = to.replace(/\{(host|path|scheme)\}/g, (_, name: string) => {
    if (name === 'path') return path;
    return name === 'host' ? parts.host : parts.scheme;
  });
  const location = filled.startsWith('//') && !to.startsWith('//') ? oneSlash(filled) : filled;
  return location.replace(notInUri, percentEncode);
}

/** With `u`: a surrogate pair is one match, a lone surrogate too. */
const notInUri = /[^\x21-\x7e]|["<>\\^`{|}]/gu;

const percentEncode = (char: string): string => encodeURIComponent(char.toWellFormed());

/** A Host field's host: lower case, without port and without the root's dot. The same string if it is so already. */
export function hostOf(hostField: string): string {
  const end = hostEnd(hostField);
  for (let i = 0; i < end; i++) {
    const code = hostField.charCodeAt(i);
    if (code >= 0x41 && code <= 0x5a) return hostField.slice(0, end).toLowerCase();
  }
  return end === hostField.length ? hostField : hostField.slice(0, end);
}

/** Where the host ends: before the port, and before one dot at the end of a name. */
function hostEnd(hostField: string): number {
  if (hostField.charCodeAt(0) === 0x5b) {
    const bracket = hostField.indexOf(']');
    return bracket === -1 ? hostField.length : bracket + 1;
  }
  const colon = hostField.indexOf(':');
  const end = colon === -1 ? hostField.length : colon;
  return end > 1 && hostField.charCodeAt(end - 1) === 0x2e ? end - 1 : end;
}
