import { describe, expect, it } from 'vitest';
import { Activity, HistogramWindow, RateMeter } from '../../src/observe/activity.ts';
import { bucketCount, bucketOf } from '../../src/scoreboard/histogram.ts';
import { nodeCounters } from '../../src/scoreboard/layout.ts';
import { counterRow } from '../../src/scoreboard/scoreboard.ts';
import { pool, source, state } from './fixture.ts';

describe('a rate', () => {
  it('is 0 until there are two samples', () => {
    const meter = new RateMeter();
    expect(meter.perSecond).toBe(0);
    meter.sample(0, 500);
    expect(meter.perSecond).toBe(0);
  });

  it('is that of the last ten seconds', () => {
    const meter = new RateMeter();
    for (let second = 0; second <= 20; second++) meter.sample(second * 1000, second * 100);
    expect(meter.perSecond).toBe(100);
    for (let second = 21; second <= 30; second++) meter.sample(second * 1000, 2000);
    expect(meter.perSecond).toBe(0);
  });

  it('goes by the time that passed, not by the number of samples', () => {
    const meter = new RateMeter();
    meter.sample(0, 0);
    meter.sample(4000, 100);
    expect(meter.perSecond).toBe(25);
  });

  it('begins anew when the counter was cleared', () => {
    const meter = new RateMeter();
    meter.sample(0, 1_000_000);
    meter.sample(1000, 10);
    expect(meter.perSecond).toBe(0);
    meter.sample(2000, 30);
    expect(meter.perSecond).toBe(20);
  });
});

describe('a window of response times', () => {
  const counts = (first: number): Float64Array => new Float64Array(bucketCount).fill(first, 0, 1);

  it('holds all until it was rotated twice, then what came since the older copy', () => {
    const window = new HistogramWindow();
    expect(window.recent(counts(5))[0]).toBe(5);
    window.rotate(counts(5));
    expect(window.recent(counts(9))[0]).toBe(9);
    window.rotate(counts(9));
    expect(window.recent(counts(20))[0]).toBe(15);
    window.rotate(counts(20));
    expect(window.recent(counts(20))[0]).toBe(11);
  });

  it('begins anew when the counts were cleared', () => {
    const window = new HistogramWindow();
    window.rotate(counts(50));
    window.rotate(counts(60));
    expect(window.recent(counts(2))[0]).toBe(2);
  });
});

describe('activity', () => {
  it('forgets what left the config, and counts a slot that was given away as new', () => {
    const from = source();
    const activity = new Activity();
    const cell = counterRow.node(1) + nodeCounters.indexOf('requests');
    activity.sample(0, from.view, from.scoreboard);
    from.scoreboard.counters(1)[cell] = 40;
    activity.sample(1000, from.view, from.scoreboard);
    expect(activity.perSecond('node', 1)).toBe(40);
    activity.sample(2000, state({ pools: [pool('app', 0, [])] }), from.scoreboard);
    expect(activity.perSecond('node', 1)).toBe(0);
  });

  it('gives the response times of the last half minute to minute', () => {
    const from = source();
    const activity = new Activity();
    const slow = counterRow.poolHistogram(0) + bucketOf(1_000_000);
    from.scoreboard.counters(0)[slow] = 7;
    for (const now of [0, 31_000, 62_000]) activity.sample(now, from.view, from.scoreboard);
    from.scoreboard.counters(1)[slow] = 2;
    expect(activity.recent('pool', 0, from.scoreboard)[bucketOf(1_000_000)]).toBe(2);
  });
});
