import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainAnswer } from '../../src/health/answer.ts';
import { adaptCheck, afterCheck, type CheckState, initialCheck, verdictOf } from '../../src/health/node.ts';
import { healthPolicy } from './world.ts';

const run = (script: string, policy = { rise: 2, fall: 3 }, from: CheckState = { at: 'unknown' }): CheckState =>
  [...script].reduce((state, c) => afterCheck(state, { ok: c === '+', detail: c }, policy), from);
const verdict = (state: CheckState) => verdictOf(state, plainAnswer);

describe('checks of one node', () => {
  it('unknown until the first check', () => {
    expect(verdict(initialCheck(healthPolicy))).toBe('unknown');
  });

  it('a first success makes it healthy at once', () => {
    expect(verdict(run('+'))).toBe('healthy');
  });

  it('a first failure makes it unhealthy at once', () => {
    expect(verdict(run('-'))).toBe('unhealthy');
  });

  it('`fall` failures in a row make it unhealthy, fewer do not', () => {
    expect(verdict(run('+--'))).toBe('healthy');
    expect(verdict(run('+--+--'))).toBe('healthy');
    expect(verdict(run('+---'))).toBe('unhealthy');
  });

  it('`rise` successes in a row make it healthy again, fewer do not', () => {
    expect(verdict(run('+---+'))).toBe('unhealthy');
    expect(verdict(run('+---+-+'))).toBe('unhealthy');
    expect(verdict(run('+---++'))).toBe('healthy');
  });

  it('counts are of checks in a row', () => {
    expect(run('+++')).toEqual({ at: 'up', passed: 3, failed: 0, detail: '+' });
    expect(run('+++-+')).toEqual({ at: 'up', passed: 1, failed: 0, detail: '+' });
    expect(run('-----')).toEqual({ at: 'down', passed: 0, failed: 5, detail: '-' });
    expect(run('--+-')).toEqual({ at: 'down', passed: 0, failed: 1, detail: '-' });
  });

  it('a node that says it is degraded is so while it is up', () => {
    const answer = { ...plainAnswer, says: 'degraded' as const };
    expect(verdictOf(run('+'), answer)).toBe('degraded');
    expect(verdictOf(run('-'), answer)).toBe('unhealthy');
  });

  it('without a health check a node counts as healthy, and stays so when checks begin', () => {
    const unchecked = initialCheck(null);
    expect(verdict(unchecked)).toBe('healthy');
    const adapted = adaptCheck(unchecked, healthPolicy);
    expect(verdict(adapted)).toBe('healthy');
    expect(verdict(run('--', { rise: 2, fall: 3 }, adapted))).toBe('healthy');
    expect(verdict(run('---', { rise: 2, fall: 3 }, adapted))).toBe('unhealthy');
  });

  it('changes its verdict only by the rule, whatever the sequence', () => {
    const bound = fc.integer({ min: 1, max: 5 });
    fc.assert(
      fc.property(fc.array(fc.boolean()), bound, bound, (checks, rise, fall) => {
        let state: CheckState = { at: 'unknown' };
        checks.forEach((ok, i) => {
          const before = verdict(state);
          state = afterCheck(state, { ok, detail: '' }, { rise, fall });
          const after = verdict(state);
          const tail = (n: number, value: boolean) =>
            i + 1 >= n && checks.slice(i + 1 - n, i + 1).every((c) => c === value);
          if (before === 'unknown') expect(after).toBe(ok ? 'healthy' : 'unhealthy');
          else if (before === 'healthy') expect(after === 'unhealthy').toBe(tail(fall, false));
          else expect(after === 'healthy').toBe(tail(rise, true));
        });
      }),
    );
  });
});
