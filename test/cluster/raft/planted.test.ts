import { describe, expect, it } from 'vitest';
import { Breach } from './checkers.ts';
import { planted } from './planted.ts';
import { runWorld } from './world.ts';

const within = 150;

/** The first seed that finds it, and the rule that it breaks. */
function find(rules: (typeof planted)[number]['rules']): { seed: number; rule: string } | null {
  for (let seed = 1; seed <= within; seed++) {
    try {
      runWorld({ seed, rules });
    } catch (error) {
      if (error instanceof Breach) return { seed, rule: error.rule };
      throw error;
    }
  }
  return null;
}

describe(`planted mistakes are found within ${within} seeds`, () => {
  it.each(planted)('$name', { timeout: 60_000 }, ({ rules }) => {
    expect(find(rules)).not.toBeNull();
  });
});
