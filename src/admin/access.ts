/**
 * Who may ask what of the admin API, decided from the head of a request alone.
 *
 *   Host    against DNS rebinding: a page on evil.example that points its name at 127.0.0.1 sends `Host: evil.example`.
 *           Allowed: IP literals, localhost and *.localhost, the configured host, the machine's own name. A unix
 *           socket is out of a browser's reach: any Host.
 *   Origin  a browser says with it whose page asks. Another origin than our own Host: refused, also for reading.
 *   token   when one is configured, everything needs `Authorization: Bearer <token>` but the three probes, since those
 *           who ask them (Kubernetes, a balancer in front) carry no secrets and learn none.
 *   change  POST, PUT, PATCH, DELETE with a JSON content type, which no HTML form can send. A DELETE may come without any:
 *           no form sends one, and a page of another site would have to ask first, which is refused by its Origin.
 */
import type { AdminAccess } from './actions.ts';

export interface Refusal {
  readonly status: 400 | 401 | 403 | 415;
  readonly title: string;
  readonly detail: string;
}

export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  /** First value of a field by its lower-case name. */
  header(name: string): string | undefined;
}

const open = new Set(['/livez', '/readyz', '/health']);
export const changing: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/** null = go on. */
export function refusalOf(request: AdminRequest, access: AdminAccess): Refusal | null {
  const host = request.header('host') ?? '';
  // Only HTTP/1.0 clients (a balancer's check) send none; a browser always does.
  if (host !== '' && !hostAllowed(host, access)) {
    return refuse(403, 'Host not allowed', 'ask by an IP address, localhost, or the host of admin.address');
  }
  const origin = request.header('origin');
  if (origin !== undefined && !sameOrigin(origin, host)) {
    return refuse(403, 'Origin not allowed', 'requests that a browser sends for another site are refused');
  }
  if (access.token !== null && !open.has(request.path) && !hasToken(request.header('authorization'), access.token)) {
    return refuse(401, 'Token missing or wrong', 'send `Authorization: Bearer <token>` with the value of admin.token');
  }
  const type = request.header('content-type');
  if (changing.has(request.method) && !isJson(type) && !(request.method === 'DELETE' && type === undefined)) {
    return refuse(415, 'Content type must be JSON', 'send `Content-Type: application/json`');
  }
  return null;
}

const refuse = (status: Refusal['status'], title: string, detail: string): Refusal => ({ status, title, detail });

/** The host of a Host field in lower case, an IPv6 address without its brackets; null if it is none. */
export function hostName(host: string): string | null {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::\d{1,5})?$/.exec(host);
  return (match?.[1] ?? match?.[2] ?? null)?.toLowerCase() ?? null;
}

const ipv4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;

function hostAllowed(host: string, access: AdminAccess): boolean {
  if (access.address.kind === 'unix') return true;
  const name = hostName(host)?.replace(/\.$/, '');
  if (name === undefined) return false;
  if (name.includes(':') || ipv4.test(name)) return true;
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return name === access.address.host.toLowerCase() || access.hosts.includes(name);
}

/** `http://host:port` of the page against our own Host, both as the browser wrote them. */
const sameOrigin = (origin: string, host: string): boolean =>
  host !== '' && origin.replace(/^https?:\/\//i, '').toLowerCase() === host.toLowerCase() && /^https?:/i.test(origin);

function hasToken(authorization: string | undefined, token: string): boolean {
  const given = /^bearer +(.+)$/i.exec(authorization ?? '')?.[1];
  return given !== undefined && sameText(given, token);
}

/** Takes the same time wherever the two differ; only the length of what was given shows. */
export function sameText(given: string, expected: string): boolean {
  let difference = given.length ^ expected.length;
  for (let i = 0; i < given.length; i++) {
    difference |= given.charCodeAt(i) ^ expected.charCodeAt(expected.length === 0 ? 0 : i % expected.length);
  }
  return difference === 0;
}

const isJson = (type: string | undefined): boolean => /^application\/json\s*(?:;|$)/i.test(type ?? '');

/** Can nothing but this machine reach it? */
export function isLoopback(address: AdminAccess['address']): boolean {
  if (address.kind === 'unix') return true;
  const host = address.host.toLowerCase().replace(/^\[|\]$/g, '');
  return host === 'localhost' || host === '::1' || (ipv4.test(host) && host.startsWith('127.'));
}
