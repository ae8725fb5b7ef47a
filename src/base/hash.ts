/**
 * 32-bit hash of a string's UTF-16 code units: FNV-1a with the finisher of MurmurHash3, which spreads the short and
 * similar strings (addresses, ids, paths) that FNV alone leaves clustered. Not for secrets, not for untrusted keys
 * where collisions cost more than balance.
 */
export function hash32(text: string, seed = 0): number {
  let h = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix32(h);
}

/** Murmur3's finisher: every input bit moves every output bit. Unsigned. */
export function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
