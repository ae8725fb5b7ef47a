/** The words of `cluster:`: a member's address, and a key. Pure: no name is resolved, and no key is ever in a message. */
import { err, ok, type Result } from '../base/result.ts';
import { type Fault, isIPv6, isLoopback, parseListen } from './addresses.ts';

export const clusterPort = 7946;
/** What members tell each other of an address. */
const hostMax = 128;
const keyBytesMin = 32;
export const clusterKeysMax = 8;

/** `10.0.0.1:7946`, `[fd00::1]:7946`, `node-1.example:7946`: normalised, so that the same place is the same text. */
export function parseMemberAddress(text: string): Result<string, Fault> {
  const read = parseListen(text);
  const named = /^(\[[^\]]+\]|[^:[\]*]+):[0-9]+$/.test(text);
  if (!read.ok || !named || read.value.address.kind !== 'tcp') {
    return err(`is not host:port\nwrite where the members reach it, for example 10.0.0.1:${clusterPort}`);
  }
  const { host, port } = read.value.address;
  if (port === 0) return err(`has port 0\nthe others must know the port; ${clusterPort} is the usual one`);
  if (host === '0.0.0.0' || /^[0:]+$/.test(host))
    return err('is every address of a machine\nname the one under which the other members reach it');
  if (host.length > hostMax)
    return err(`has a host of more than ${hostMax} characters\ngive its address, or a shorter name`);
  return ok(read.value.name);
}

/** Base64 or hexadecimal digits of at least 32 bytes, as it was given. */
export function parseClusterKey(text: string): Result<string, Fault> {
  const how = 'make one with: openssl rand -base64 32';
  const plain = text.trim();
  const isHex = /^[0-9a-fA-F]{64,}$/.test(plain) && plain.length % 2 === 0;
  if (isHex) return ok(plain);
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(plain)) return err(`is neither base64 nor hexadecimal\n${how}`);
  const bytes = Math.floor((plain.replace(/=+$/, '').length * 3) / 4);
  return bytes < keyBytesMin ? err(`has ${bytes} bytes, at least ${keyBytesMin} are needed\n${how}`) : ok(plain);
}

/** Of an address that parseMemberAddress gave. */
export function isLoopbackMember(address: string): boolean {
  const read = parseListen(address);
  return read.ok && isLoopback(read.value.address);
}

/** `host` or `host:port` of older deployments' variables; IPv6 with or without brackets. */
export function splitAddress(text: string): { readonly host: string; readonly port: string | null } {
  if (isIPv6(text)) return { host: `[${text}]`, port: null };
  const form = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(text);
  return form === null ? { host: text, port: null } : { host: form[1]!, port: form[2] ?? null };
}
