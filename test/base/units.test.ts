import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  durationPattern,
  formatDuration,
  formatShare,
  formatSize,
  parseDuration,
  parseShare,
  parseSize,
  sharePattern,
  sizePattern,
} from '../../src/base/units.ts';

const value = (result: { ok: true; value: number } | { ok: false; error: string }) =>
  result.ok ? result.value : result.error;

describe('durations', () => {
  it.each([
    ['0', 0],
    ['0s', 0],
    ['500ms', 500],
    ['2s', 2000],
    ['1m', 60_000],
    ['1h', 3_600_000],
    ['2d', 172_800_000],
    ['1.5s', 1500],
    ['1.1s', 1100],
    ['0.001s', 1],
    ['1m30s', 90_000],
    ['1h2m3s4ms', 3_723_004],
    [' 2s ', 2000],
  ])('%s is %d ms', (text, millis) => {
    expect(value(parseDuration(text))).toBe(millis);
  });

  it.each([
    ['5', /no unit: write 5s or 5ms/],
    ['1.5', /no unit: write 1.5s or 1.5ms/],
    ['', /is not a duration/],
    ['s', /is not a duration/],
    ['-1s', /is not a duration/],
    ['+1s', /is not a duration/],
    ['1 s', /is not a duration/],
    ['1S', /is not a duration/],
    ['1sec', /is not a duration/],
    ['1e3ms', /is not a duration/],
    ['.5s', /is not a duration/],
    ['1.s', /is not a duration/],
    ['1,5s', /is not a duration/],
    ['0x1s', /is not a duration/],
    ['1s1m', /wrong order/],
    ['1s1s', /wrong order/],
    ['0.5ms', /not a whole number of milliseconds/],
    ['99999999999999999d', /too large/],
    [`${'1'.repeat(50)}s`, /too long/],
  ])('%j is refused', (text, message) => {
    expect(value(parseDuration(text))).toMatch(message);
  });

  it.each([
    [0, '0s'],
    [1, '1ms'],
    [1500, '1500ms'],
    [2000, '2s'],
    [60_000, '1m'],
    [90_000, '90s'],
    [3_600_000, '1h'],
    [86_400_000, '1d'],
  ])('%d ms is written %s', (millis, text) => {
    expect(formatDuration(millis)).toBe(text);
  });

  it('what is written reads back', () => {
    fc.assert(
      fc.property(fc.nat({ max: 10 ** 12 }), (millis) => {
        expect(value(parseDuration(formatDuration(millis)))).toBe(millis);
        expect(formatDuration(millis)).toMatch(new RegExp(durationPattern));
      }),
    );
  });
});

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['0B', 0],
    ['512B', 512],
    ['1KB', 1000],
    ['1KiB', 1024],
    ['64KiB', 65_536],
    ['1MB', 1_000_000],
    ['10MiB', 10_485_760],
    ['1GB', 1_000_000_000],
    ['1GiB', 1_073_741_824],
    ['1TB', 10 ** 12],
    ['2TiB', 2 * 2 ** 40],
    ['1.5KiB', 1536],
    ['64 KiB', 65_536],
    ['64kib', 65_536],
    ['1mb', 1_000_000],
  ])('%s is %d bytes', (text, bytes) => {
    expect(value(parseSize(text))).toBe(bytes);
  });

  it.each([
    ['65536', /no unit: write 65536B, or a size such as 64KiB/],
    ['', /is not a size/],
    ['K', /is not a size/],
    ['-1KiB', /is not a size/],
    ['1 0KiB', /is not a size/],
    ['1K', /is not a size/],
    ['1PiB', /is not a size/],
    ['1Ki B', /is not a size/],
    ['0.5B', /not a whole number of bytes/],
    ['1.0001KiB', /not a whole number of bytes/],
    ['99999999TiB', /too large/],
  ])('%j is refused', (text, message) => {
    expect(value(parseSize(text))).toMatch(message);
  });

  it('is written in the largest binary unit that fits', () => {
    expect([0, 1000, 1024, 1536, 65_536, 2 ** 20, 2 ** 30, 3 * 2 ** 40].map(formatSize)).toEqual([
      '0B',
      '1000B',
      '1KiB',
      '1536B',
      '64KiB',
      '1MiB',
      '1GiB',
      '3TiB',
    ]);
  });

  it('what is written reads back', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 31 - 1 }), (bytes) => {
        expect(value(parseSize(formatSize(bytes)))).toBe(bytes);
        expect(formatSize(bytes)).toMatch(new RegExp(sizePattern));
      }),
    );
  });
});

describe('shares', () => {
  it.each([
    ['0', 0],
    ['0%', 0],
    ['20%', 0.2],
    ['0.2', 0.2],
    ['12.5%', 0.125],
    ['1', 1],
    ['1.0', 1],
    ['100%', 1],
  ])('%s is %d', (text, share) => {
    expect(value(parseShare(text))).toBe(share);
  });

  it.each([
    ['20', /more than one: did you mean 20%/],
    ['1.5', /more than one: did you mean 1.5%/],
    ['101%', /more than 100%/],
    ['-1%', /is not a share/],
    ['', /is not a share/],
    ['%', /is not a share/],
    ['20 %', /is not a share/],
    ['a%', /is not a share/],
    [`0.${'1'.repeat(30)}`, /is not a share/],
  ])('%j is refused', (text, message) => {
    expect(value(parseShare(text))).toMatch(message);
  });

  it('what is written reads back', () => {
    fc.assert(
      fc.property(fc.nat({ max: 1000 }), (thousandths) => {
        const share = thousandths / 1000;
        expect(value(parseShare(formatShare(share)))).toBeCloseTo(share, 12);
        expect(formatShare(share)).toMatch(new RegExp(sharePattern));
      }),
    );
    expect(formatShare(0.07)).toBe('7%');
  });
});

it('any text gives a finite number of at least 0 or an error, and the patterns agree', () => {
  const readers = [
    [parseDuration, durationPattern],
    [parseSize, sizePattern],
    [parseShare, sharePattern],
  ] as const;
  const near = fc.stringMatching(/^[0-9. ]{0,5}(ms|s|m|h|d|%|B|KB|KiB|MiB)?[0-9ms]{0,3}$/);
  fc.assert(
    fc.property(fc.oneof(fc.string(), near), (text) => {
      for (const [parse, pattern] of readers) {
        const result = parse(text);
        if (!result.ok) expect(result.error).not.toBe('');
        else {
          expect(result.value).toBeGreaterThanOrEqual(0);
          expect(Number.isFinite(result.value)).toBe(true);
          expect(text.trim()).toMatch(new RegExp(pattern));
        }
      }
    }),
  );
});
