import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainAnswer, readAnswer } from '../../src/health/answer.ts';

const said = (type: string, body: string) => readAnswer({ 'content-type': type }, body);
const json = (value: unknown) => said('application/json; charset=utf-8', JSON.stringify(value));

describe('health answers: JSON', () => {
  it('carry status, role, lag, position and weight', () => {
    expect(json({ status: 'degraded', role: 'replica', lag: 1.5, position: 4711, weight: 50 })).toMatchObject({
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
    expect(said('application/health+json', '{"status":"fail"}').says).toBe('down');
    expect(said('text/html', '{"status":"fail"}')).toEqual(plainAnswer);
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
    expect(said('text/plain', body)).toMatchObject(expected);
    expect(said('', body)).toMatchObject(expected);
  });

  it.each(['down the rabbit hole', 'everything is down', '', '2000%', 'constructor', `down${' '.repeat(64)}`])(
    'count only if they are all there is: %j',
    (body) => {
      expect(said('text/plain', body)).toEqual(plainAnswer);
    },
  );

  it('do not count in other content types', () => {
    expect(said('application/octet-stream', 'down')).toEqual(plainAnswer);
  });
});

describe('any answer', () => {
  it('is read without an error, with a share that is a number from 0 to 10', () => {
    const types = fc.constantFrom('application/json', 'text/plain', '', 'x/y+json', ';;');
    const body = fc.oneof(fc.string(), fc.json(), fc.constantFrom('up', '10%'));
    fc.assert(
      fc.property(types, body, (type, text) => {
        const { share } = said(type, text);
        expect(share).toBeGreaterThanOrEqual(0);
        expect(share).toBeLessThanOrEqual(10);
      }),
    );
  });
});

describe('health answers: fields for failover', () => {
  const all = {
    'x-ha-role': 'replica',
    'x-ha-epoch': '7',
    'x-ha-cluster': 'c-1',
    'x-ha-position': '4711',
    'x-ha-lag': '12.5',
    'x-ha-primary-heard': '250',
  };
  const place = { role: 'replica', epoch: 7, cluster: 'c-1', position: 4711, lag: 12.5, primaryHeard: 250 };

  it('may stand in JSON or in fields of the answer, and JSON counts before them', () => {
    expect(readAnswer(all, 'whatever')).toEqual({ ...plainAnswer, ...place });
    expect(json(place)).toEqual({ ...plainAnswer, ...place });
    const both = readAnswer({ ...all, 'content-type': 'application/json' }, '{"epoch":8,"role":"primary"}');
    expect(both).toMatchObject({ ...place, epoch: 8, role: 'primary' });
  });

  it.each([
    ['x-ha-epoch', ['', '-1', '1.5', '1e3', '0x7', 'seven', '99999999999999999999', ' 7']],
    ['x-ha-position', ['', '-1', '1.5', 'x', '9007199254740993']],
    ['x-ha-lag', ['', '-1', 'NaN', 'Infinity', '1s']],
  ])('%s that is no number says nothing', (name, values) => {
    for (const value of values) expect(readAnswer({ [name]: value }, ''), value).toEqual(plainAnswer);
  });

  it('what came twice, or is too long, says nothing', () => {
    expect(readAnswer({ 'x-ha-epoch': ['7', '8'] }, '')).toEqual(plainAnswer);
    expect(readAnswer({ 'x-ha-role': 'r'.repeat(65), 'x-ha-cluster': '' }, '')).toEqual(plainAnswer);
    expect(json({ epoch: 1.5, position: -1, cluster: 7, primaryHeard: '3', role: '' })).toEqual(plainAnswer);
  });

  it('never throw, whatever the fields', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...Object.keys(all), '__proto__'), fc.string()),
        fc.string(),
        (fields, body) => {
          const { epoch, position } = readAnswer(fields, body);
          for (const one of [epoch, position])
            expect(one === null || (Number.isSafeInteger(one) && one >= 0)).toBe(true);
        },
      ),
    );
  });
});
