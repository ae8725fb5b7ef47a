/**
 * Addresses as text: where to listen, where a node is, whom to trust, which host a route means.
 * Pure: nothing is resolved here, so a name that does not exist is found out by whoever uses it.
 */
import { err, ok, type Result } from '../base/result.ts';
import type { ListenAddress, NodeAddress } from './model.ts';

/** One line that stands behind the name of the value; after a line break a hint may follow. */
export type Fault = string;

export function isIPv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255);
}

/** Without brackets and zone. */
export function isIPv6(text: string): boolean {
  return /^[0-9a-fA-F:.]+$/.test(text) && text.includes(':') && URL.canParse(`http://[${text}]/`);
}

/** Labels of letters, digits, `-` and (as in many intranets) `_`. */
export function isHostName(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
}

function parsePort(text: string): number | null {
  return /^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : null;
}

export interface Listening {
  /** Normalised: `:8080` is `0.0.0.0:8080`. */
  readonly name: string;
  readonly address: ListenAddress;
}

/** `0.0.0.0:8080`, `:8080`, `*:8080`, `8080`, `[::]:8080`, `localhost:8080`, `unix:/run/evenkeel.sock`. */
export function parseListen(text: string): Result<Listening, Fault> {
  if (text.startsWith('unix:')) {
    const path = parseUnix(text, longestPath - besideBytes);
    return path.ok ? ok({ name: text, address: { kind: 'unix', path: path.value } }) : path;
  }
  const form = /^(?:(\[[^\]]*\]|[^:[\]]*):)?([0-9]+)$/.exec(text);
  const port = form ? parsePort(form[2]!) : null;
  if (!form || port === null) {
    return err('is not an address to listen on\nwrite 0.0.0.0:8080, [::]:8080, :8080 or unix:/path');
  }
  const written = form[1] ?? '';
  const host = written === '' || written === '*' ? '0.0.0.0' : written.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const bracketed = written.startsWith('[');
  if (bracketed ? !isIPv6(host) : !isIPv4(host) && (!isHostName(host) || /^[0-9.]+$/.test(host))) {
    return err('has a host that is neither an address nor a name');
  }
  return ok({ name: `${bracketed ? `[${host}]` : host}:${port}`, address: { kind: 'tcp', host, port } });
}

/** sun_path holds 108 bytes on Linux, the last of them NUL. */
const longestPath = 107;
/** A thread listens beside the path first: `.` and its row, at most 127. */
const besideBytes = 4;

function parseUnix(text: string, most: number): Result<string, Fault> {
  const path = text.slice('unix:'.length);
  if (!path.startsWith('/') || path === '/') return err('must be unix: and an absolute path, as in unix:/run/app.sock');
  if (path.length > most) return err(`has a socket path of more than ${most} characters, which the system cannot open`);
  if (/[^\x21-\x7e]/.test(path)) return err('has a socket path with a space or a special character in it');
  return ok(path);
}

export interface NodePlace {
  readonly url: string;
  readonly address: NodeAddress;
  /** What the node is called unless it has an id: host:port, or the socket's path. */
  readonly id: string;
}

/** `http://10.0.0.11:3000`, `https://app.internal`, `http://app`, `http://[::1]:3000`, `unix:/run/app.sock`. */
export function parseNodeUrl(text: string): Result<NodePlace, Fault> {
  if (text.startsWith('unix:')) {
    const path = parseUnix(text, longestPath);
    return path.ok ? ok({ url: text, address: { kind: 'unix', path: path.value }, id: path.value }) : path;
  }
  if (!/^https?:\/\//i.test(text)) return err(`is not the url of a node\nwrite ${likelyUrl(text)}`);
  if (/[^\x21-\x7e]/.test(text) || !URL.canParse(text)) return err('is not a url\nwrite http://host:port');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '')
    return err('holds a user or a password\nset a field in the route instead');
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || /[?#]/.test(text)) {
    return err('must end behind the port\nto change paths, use stripPrefix or replacePrefix in a route');
  }
  const tls = url.protocol === 'https:';
  const port = url.port === '' ? (tls ? 443 : 80) : Number(url.port);
  if (port === 0) return err('has port 0');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return ok({
    url: text.replace(/\/$/, ''),
    address: { kind: 'tcp', host, port, ...(tls ? { tls } : {}) },
    id: `${url.hostname}:${port}`,
  });
}

function likelyUrl(text: string): string {
  return /^[\w.-]+(:[0-9]+)?$/.test(text) ? `http://${text}` : 'http://host:port or unix:/path';
}

/** An address or a CIDR block. */
export function parseBlock(text: string): Result<string, Fault> {
  const [address, bits, more] = text.split('/');
  const most = isIPv4(address!) ? 32 : isIPv6(address!) ? 128 : null;
  if (most === null || more !== undefined) return err('is not an address or block such as 10.0.0.0/8 or fd00::/8');
  if (bits !== undefined && (!/^[0-9]{1,3}$/.test(bits) || Number(bits) > most)) {
    return err(`has a prefix length that is not a number from 0 to ${most}`);
  }
  return ok(text.toLowerCase());
}

/** A route's host: a name, an address or `*.name`. Lower case. */
export function parseHostPattern(text: string): Result<string, Fault> {
  const host = text.toLowerCase();
  const name = host.startsWith('*.') ? host.slice(2) : host;
  if (/^\[[^\]]*\]$/.test(host) && isIPv6(host.slice(1, -1))) return ok(host);
  if (/:[0-9]+$/.test(host))
    return err('names a port\nleave it out: a route matches the host alone; use listen to tell ports apart');
  if (name.includes('*'))
    return err('has a * elsewhere than in front\nwrite *.example.com, which matches any labels in front');
  if (/[^\x00-\x7f]/.test(name)) return err('is not ASCII\nwrite the name as it is sent, in its xn-- form');
  return isHostName(name) ? ok(host) : err('is not a host name such as app.example.com or *.example.com');
}

export function isLoopback(address: ListenAddress): boolean {
  if (address.kind === 'unix') return true;
  const { host } = address;
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
