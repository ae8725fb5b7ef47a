/** A source of chance that a test or a simulation can seed. Cores take one as an argument. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform whole number in [0, bound); 0 for a bound of 0. */
  below(bound: number): number;
}

/**
 * xoshiro128** by Blackman and Vigna (2018): 128 bits of state, good enough for load balancing and simulation,
 * not for secrets. Seeded through splitmix32, so that seeds 1 and 2 give unlike streams.
 */
export function seededRandom(seed: number): Random {
  let mix = seed | 0;
  const split = (): number => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix ^ (mix >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let a = split();
  let b = split();
  let c = split();
  let d = split();
  const word = (): number => {
    const x = Math.imul(b, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  return {
    next: () => word() / 0x100000000,
    below: (bound) => Math.floor((word() / 0x100000000) * bound),
  };
}
