import { describe, expect, it } from 'vitest';
import { OneAtATime } from '../../src/app/reload.ts';

/** Work that ends when it is told to. */
function held() {
  const ends: ((fail?: boolean) => void)[] = [];
  const counts = { running: 0, most: 0, runs: 0 };
  const one = new OneAtATime(() => {
    const run = ++counts.runs;
    counts.most = Math.max(counts.most, ++counts.running);
    return new Promise<number>((resolve, reject) => {
      ends.push((fail) => {
        counts.running--;
        if (fail === true) reject(new Error('failed'));
        else resolve(run);
      });
    });
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { one, ends, counts, turn };
}

describe('one reload at a time', () => {
  it('makes one more run of all that ask while one runs', async () => {
    const { one, ends, counts, turn } = held();
    const first = one.run();
    const others = [one.run(), one.run(), one.run()];
    expect(counts.runs).toBe(1);
    ends[0]?.();
    expect(await first).toBe(1);
    await turn();
    ends[1]?.();
    expect(await Promise.all(others)).toEqual([2, 2, 2]);
    expect(counts).toEqual({ running: 0, most: 1, runs: 2 });
  });

  it('never overlaps, even if asked at the very end of a run', async () => {
    const { one, ends, counts, turn } = held();
    const asked: Promise<number>[] = [];
    const first = one.run();
    const again = first.then(() => asked.push(one.run()));
    asked.push(one.run());
    ends[0]?.();
    await again;
    await turn();
    expect(counts.running).toBe(1);
    ends[1]?.();
    await turn();
    ends[2]?.();
    await Promise.all(asked);
    expect(counts.most).toBe(1);
  });

  it('goes on after a run that failed', async () => {
    const { one, ends, turn } = held();
    const first = one.run();
    const second = one.run();
    ends[0]?.(true);
    await expect(first).rejects.toThrow('failed');
    await turn();
    ends[1]?.();
    expect(await second).toBe(2);
  });
});
