/**
 * What the node gets: the request's head, written anew from what was understood.
 *
 * The fields that tell about the client are ours alone. From a peer that is not in `trustedProxies` they are replaced;
 * from one that is, X-Forwarded-For is appended to and the rest is kept. They are added last, after the client's own
 * Connection field has had its effect, so nobody can make us drop them (CVE-2024-45410, CVE-2022-31813).
 */
import { isProxyField } from '../base/proxy-fields.ts';
import type { RouteView, Settings } from '../routing/snapshot.ts';
import { dropFields, upgradeFields } from './http1/grammar.ts';
import { chunked, type RequestHead } from './http1/request-head.ts';

/** What is known of the client's connection. */
export interface Peer {
  /** Address of the other end; `unix` if it has none. */
  readonly address: string;
  readonly trusted: boolean;
  readonly scheme: 'http' | 'https';
  /** Local port; empty for a unix socket. */
  readonly port: string;
  /** The line of its verified certificate (RFC 9440); empty without one. */
  readonly clientCert: string;
  /** Whether an address is in trustedProxies. */
  readonly isTrusted: (address: string) => boolean;
  /** The fields that tell about it, before and behind the host that is asked for; see forwardedBy(). */
  readonly forwardedLines: readonly [string, string];
}

export interface ForwardOptions {
  readonly target: string;
  readonly requestId: string;
  /** Host field if the request had none. */
  readonly authority: string;
  readonly fields: Settings['fields'];
  /** Under which a write is sent; 0: none. */
  readonly epoch: number;
}

export function requestText(head: RequestHead, peer: Peer, route: RouteView, options: ForwardOptions): string {
  let kept = route.requestDrop === null ? head.fields : dropFields(head.fields, route.requestDrop);
  if (!head.hostKept && !route.requestDrop?.has('host'))
    kept = `Host: ${head.authority || options.authority}\r\n${kept}`;
  if (options.fields.via !== null) kept = withVia(kept, head, options.fields.via);
  return `${head.method} ${options.target} HTTP/1.1\r\n${kept}${route.requestSet}${framing(head)}${forwardedFields(head, peer, route.requestDrop)}${options.fields.forwarded ? forwardedField(head, peer) : ''}${options.epoch === 0 ? '' : `X-HA-Epoch: ${options.epoch}\r\n`}X-Request-Id: ${options.requestId}\r\n\r\n`;
}

function framing(head: RequestHead): string {
  let text = '';
  if (head.bodyLength === chunked) {
    text = 'Transfer-Encoding: chunked\r\n';
    if (head.trailer !== '') text += `Trailer: ${head.trailer}\r\n`;
  } else if (head.framed) text = `Content-Length: ${head.bodyLength}\r\n`;
  if (head.upgrade) text += upgradeFields;
  if (head.teTrailers) text += 'TE: trailers\r\nConnection: TE\r\n';
  if (head.hopsLeft !== null) text += `Max-Forwards: ${head.hopsLeft - 1}\r\n`;
  return text;
}

/** `drop`: what the route sets or removes. Of these fields that concerns those that are not always written. */
function forwardedFields(head: RequestHead, peer: Peer, drop: RouteView['requestDrop']): string {
  let text: string;
  if (peer.trusted) {
    const chain = head.forwardedFor === '' ? peer.address : `${head.forwardedFor}, ${peer.address}`;
    text = `X-Forwarded-For: ${chain}\r\nX-Real-IP: ${clientAddress(head, peer)}\r\nX-Forwarded-Proto: ${head.forwardedProto || peer.scheme}\r\nX-Forwarded-Host: ${head.forwardedHost || head.authority}\r\nX-Forwarded-Port: ${head.forwardedPort || peer.port}\r\n${without(drop, head.forwardedOther)}`;
  } else {
    text = peer.forwardedLines[0] + head.authority + peer.forwardedLines[1];
  }
  if (peer.clientCert !== '') text += without(drop, peer.clientCert);
  else if (peer.trusted) text += without(drop, head.clientCert);
  return text;
}

const without = (drop: RouteView['requestDrop'], lines: string): string =>
  drop === null ? lines : dropFields(lines, drop);

/** What is the same for all requests of a peer that is not trusted, made once for its connection. */
export function forwardedBy({ address, scheme, port }: Pick<Peer, 'address' | 'scheme' | 'port'>): [string, string] {
  const before = `X-Forwarded-For: ${address}\r\nX-Real-IP: ${address}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Host: `;
  return [before, `\r\nX-Forwarded-Port: ${port}\r\n`];
}

/** RFC 7239. IPv6 is bracketed and quoted; an obscured `unknown` where there is no address. */
function forwardedField(head: RequestHead, peer: Peer): string {
  const node = peer.address.includes(':') ? `"[${peer.address}]"` : peer.address === 'unix' ? 'unknown' : peer.address;
  const host = head.authority === '' ? '' : `;host="${head.authority}"`;
  const own = `for=${node};proto=${peer.scheme}${host}`;
  const before = peer.trusted && head.forwarded !== '' ? `${head.forwarded}, ` : '';
  return `Forwarded: ${before}${own}\r\n`;
}

/**
 * A field as rules see it. Of those that only proxies set, a peer that is not trusted says nothing; X-HA-* is nobody's. Else
 * anybody could take a route that a proxy in front is to open. Where a client's line came before the proxy's, rules see what
 * nodes are told.
 */
export function believedField(name: string, head: RequestHead, peer: Peer): string | undefined {
  if (name.startsWith('x-ha-')) return undefined;
  const first = head.header(name);
  if (first === undefined || !isProxyField(name)) return first;
  if (!peer.trusted) return undefined;
  switch (name) {
    case 'x-forwarded-for':
      return head.forwardedFor;
    case 'x-forwarded-proto':
      return head.forwardedProto;
    case 'x-forwarded-host':
      return head.forwardedHost;
    case 'x-forwarded-port':
      return head.forwardedPort;
    case 'x-real-ip':
      return clientAddress(head, peer);
    case 'x-request-id':
      return head.requestId;
    case 'forwarded':
      return head.forwarded;
    default:
      return first;
  }
}

/** How the client reached us, or the trusted proxy that says so. */
export function clientScheme(head: RequestHead, peer: Peer): Peer['scheme'] {
  const said = peer.trusted ? head.forwardedProto.toLowerCase() : '';
  return said === 'http' || said === 'https' ? said : peer.scheme;
}

/** The rightmost address of X-Forwarded-For that is no trusted proxy; the peer itself if it is not trusted. */
export function clientAddress(head: RequestHead, peer: Peer): string {
  if (!peer.trusted || head.forwardedFor === '') return peer.address;
  const chain = head.forwardedFor.split(',');
  for (let i = chain.length - 1; i >= 0; i--) {
    const address = bareAddress(chain[i]!.trim());
    if (!/^[0-9A-Fa-f.:]{2,45}$/.test(address)) return peer.address;
    if (i === 0 || !peer.isTrusted(address)) return address;
  }
  return peer.address;
}

/** Some balancers write the port along: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
const withPort = /^(?:([0-9.]+):[0-9]{1,5}|\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?)$/;

function bareAddress(text: string): string {
  const match = withPort.exec(text);
  return match === null ? text : (match[1] ?? match[2]!);
}

function withVia(fields: string, head: RequestHead, name: string): string {
  const own = `1.${head.minor} ek-${name}`;
  if (head.via === '') return `${fields}Via: ${own}\r\n`;
  return `${dropFields(fields, viaName)}Via: ${head.via}, ${own}\r\n`;
}

const viaName: ReadonlySet<string> = new Set(['via']);

/** The request has been through us already. */
export function isLoop(head: RequestHead, via: string | null): boolean {
  return via !== null && head.via !== '' && head.via.split(',').some((hop) => hop.trim().endsWith(` ek-${via}`));
}

const idPattern = /^[\w.-]{1,128}$/;

/** The id that a trusted peer gave, if it is a plain one. */
export const keptRequestId = (head: RequestHead, peer: Peer): string | null =>
  peer.trusted && head.requestId !== '' && idPattern.test(head.requestId) ? head.requestId : null;
