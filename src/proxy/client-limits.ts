/** Whose limits hold: an address as the key of the table of clients (scoreboard/clients.ts). */
import type { Rate } from '../base/gcra.ts';
import type { Settings } from '../routing/snapshot.ts';
import type { ClientKey, ClientRules } from '../scoreboard/clients.ts';

type AddressLimits = Settings['limits']['perAddress'];

/** null: nothing is limited. */
export function clientRules({ connections, newConnections, requests }: AddressLimits): ClientRules | null {
  if (connections === null && newConnections === null && requests === null) return null;
  return { connections, newConnections: rateOf(newConnections), requests: rateOf(requests) };
}

const rateOf = (limit: AddressLimits['requests']): Rate | null =>
  limit === null ? null : { interval: 1000 / limit.perSecond, burst: limit.burst };

/** First word of IPv4 addresses: of IPv6 it would be one of multicast, which nobody sends from. */
const v4 = -1;

/** Text that is no address: all of it shares one key, so that nobody gets round a limit by what they call themselves. */
const unreadable: ClientKey = { high: v4, low: -1 };

/**
 * The address itself of IPv4, also where it is written as IPv6 (::ffff:192.0.2.1); the first 64 bits of IPv6, which are
 * one client's, who has as many of the others as he likes. A zone (fe80::1%eth0) is left out.
 */
export function clientKey(address: string): ClientKey {
  if (!address.includes(':')) return v4Key(address);
  const [head = '', tail, more] = address.split('%', 1)[0]!.split('::');
  if (more !== undefined) return unreadable;
  const front = groupsOf(head);
  const back = groupsOf(tail ?? '');
  if (front === null || back === null) return unreadable;
  const missing = 8 - front.length - back.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return unreadable;
  const groups = [...front, ...new Array<number>(missing).fill(0), ...back];
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) return keyOf(v4, pair(groups, 6));
  return keyOf(pair(groups, 0), pair(groups, 2));
}

const pair = (groups: readonly number[], at: number): number => (groups[at]! << 16) | groups[at + 1]!;

/** 0, 0 is a free entry: ::/64, where only the loopback address is in use, goes with 0.0.0.0, which nobody sends from. */
const keyOf = (high: number, low: number): ClientKey => (high === 0 && low === 0 ? { high: v4, low } : { high, low });

function v4Key(address: string): ClientKey {
  const word = v4Word(address);
  return word === null ? unreadable : { high: v4, low: word };
}

function v4Word(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let word = 0;
  for (const part of parts) {
    if (!/^[0-9]{1,3}$/.test(part) || Number(part) > 255) return null;
    word = (word << 8) | Number(part);
  }
  return word;
}

/** The 16-bit groups of a part of an IPv6 address, which may end in an IPv4 address; null: it is none. */
function groupsOf(text: string): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    const word = index === parts.length - 1 && part.includes('.') ? v4Word(part) : null;
    if (word !== null) groups.push(word >>> 16, word & 0xffff);
    else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}
