import { afterEach, describe, expect, it } from 'vitest';
import { createObserver, type Observer } from '../../../src/observe/io/observer.ts';
import { nodeCounters } from '../../../src/scoreboard/layout.ts';
import { counterRow } from '../../../src/scoreboard/scoreboard.ts';
import { patienceMs } from '../../helpers/poll.ts';
import { node, pool, source, state } from '../fixture.ts';

let observer: Observer | null = null;
afterEach(() => observer?.close());

describe('the observer', () => {
  it('samples by itself, so that stats tell rates', async () => {
    const from = source();
    const made = createObserver(from);
    observer = made;
    const cell = counterRow.node(0) + nodeCounters.indexOf('requests');
    const rate = (): number => made.stats().pools[0]?.nodes[0]?.requestsPerSecond ?? 0;
    expect(rate()).toBe(0);
    const deadline = performance.now() + patienceMs;
    while (rate() === 0 && performance.now() < deadline) {
      from.scoreboard.counters(1)[cell]! += 100;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(rate()).toBeGreaterThan(0);
    expect(await made.metrics.render()).toContain('evenkeel_node_requests_total');
  });

  it('makes the text of many rows in many turns of the event loop', async () => {
    const nodes = Array.from({ length: 2000 }, (_, slot) => node('app', `n${slot}`, slot));
    const made = createObserver(source(state({ pools: [pool('app', 0, nodes)] })));
    observer = made;
    let turns = 0;
    const turn = (): void => {
      turns += 1;
      counting = setImmediate(turn);
    };
    let counting = setImmediate(turn);
    const turnsOf = async (work: Promise<Uint8Array>): Promise<unknown> => {
      const before = turns;
      const text = new TextDecoder().decode(await work);
      expect(turns - before).toBeGreaterThanOrEqual(10); // some hundred rows in each
      return text.startsWith('{') ? JSON.parse(text) : text;
    };
    expect(await turnsOf(made.statsBytes('all'))).toMatchObject({ pools: [{ nodes: { length: 2000 } }] });
    expect(await turnsOf(made.statsBytes('pools'))).toEqual({ pools: made.stats().pools });
    clearImmediate(counting);
  });
});
