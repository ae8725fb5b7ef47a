import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainAnswer, readAnswer } from '../../src/health/answer.ts';

const json = (value: unknown) => readAnswer('application/json; charset=utf-8', JSON.stringify(value));

describe('health answers: JSON', () => {
  it('carry status, role, lag, position and weight', () => {
    expect(json({ status: 'degraded', role: 'replica', lag: 1.5, position: 4711, weight: 50 })).toEqual({
      says: 'degraded',
      role: 'replica',
      lag: 1.5,
      position: 4711,
      share: 0.5,
    });
  });

  it.each([
    ['UP', 'up'],
    ['ok', 'up'],
    ['pass', 'up'],
    ['warn', 'degraded'],
    ['DOWN', 'down'],
    ['fail', 'down'],
    ['drain', 'drain'],
    ['maint', 'maint'],
    ['toString', 'up'],
    ['blue', 'up'],
  ])('status %s means %s', (status, says) => {
    expect(json({ status }).says).toBe(says);
  });

  it('count by their content type, also application/health+json, not by their looks', () => {
    expect(readAnswer('application/health+json', '{"status":"fail"}').says).toBe('down');
    expect(readAnswer('text/html', '{"status":"fail"}')).toEqual(plainAnswer);
  });

  it.each([
    { weight: -1 },
    { weight: 1001 },
    { weight: '50' },
    { weight: null },
    { status: 7 },
    [],
    null,
    'down',
    { lag: -1, position: 'x', role: {} },
  ])('that make no sense are ordinary ones: %j', (value) => {
    expect(json(value)).toEqual(plainAnswer);
  });

  it('weight may be written as a percentage', () => {
    expect(json({ weight: '75%' }).share).toBe(0.75);
    expect(json({ weight: 0 }).share).toBe(0);
  });
});

describe("health answers: HAProxy's agent words", () => {
  it.each([
    ['up', { says: 'up', share: 1 }],
    ['down\n', { says: 'down', share: 1 }],
    ['drain', { says: 'drain', share: 1 }],
    ['MAINT', { says: 'maint', share: 1 }],
    ['75%', { says: 'up', share: 0.75 }],
    ['up 50%\r\n', { says: 'up', share: 0.5 }],
    ['drain, 10%', { says: 'drain', share: 0.1 }],
  ])('%j', (body, expected) => {
    expect(readAnswer('text/plain', body)).toMatchObject(expected);
    expect(readAnswer('', body)).toMatchObject(expected);
  });

  it.each(['down the rabbit hole', 'everything is down', '', '2000%', 'constructor', `down${' '.repeat(64)}`])(
    'count only if they are all there is: %j',
    (body) => {
      expect(readAnswer('text/plain', body)).toEqual(plainAnswer);
    },
  );

  it('do not count in other content types', () => {
    expect(readAnswer('application/octet-stream', 'down')).toEqual(plainAnswer);
  });
});

describe('any answer', () => {
  it('is read without an error, with a share that is a number from 0 to 10', () => {
    const types = fc.constantFrom('application/json', 'text/plain', '', 'x/y+json', ';;');
    const body = fc.oneof(fc.string(), fc.json(), fc.constantFrom('up', '10%'));
    fc.assert(
      fc.property(types, body, (type, text) => {
        const { share } = readAnswer(type, text);
        expect(share).toBeGreaterThanOrEqual(0);
        expect(share).toBeLessThanOrEqual(10);
      }),
    );
  });
});
