/** The set of first voters, its hash, and the id of the cluster that they form: the same for all who know the same. */
import { hashBytes, hashText } from '../replica/fingerprint.ts';
import type { Address } from '../swim/model.ts';
import type { FirstVoter } from './words.ts';

/** Addresses of the first voters, sorted, each once. */
export const setOf = (address: Address, seeds: readonly Address[]): readonly Address[] =>
  [...new Set([address, ...seeds])].sort();

/** 128 bits as 32 hexadecimal digits. Finds what differs; no protection against whoever has the cluster's key. */
function digest(parts: readonly string[]): string {
  const bytes = new TextEncoder().encode(parts.join('\n'));
  return hashText(hashBytes(bytes, 1)) + hashText(hashBytes(bytes, 2));
}

export const setHash = (set: readonly Address[]): string => digest(['set', ...set]);

export const clusterIdOf = (voters: readonly FirstVoter[]): string =>
  digest(['cluster', ...voters.map(({ address, id }) => `${address} ${id}`)]);

export const sameVoters = (a: readonly FirstVoter[], b: readonly FirstVoter[]): boolean =>
  a.length === b.length && a.every((one, i) => one.address === b[i]!.address && one.id === b[i]!.id);
