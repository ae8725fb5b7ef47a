/** Words between members: each comes back as it was, and nothing that is none throws or is taken for one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeWord, encodeWord, reportsPerWord, wordBytesMax } from '../../../src/cluster/failover/codec.ts';
import type { ToldReport, Word } from '../../../src/cluster/failover/words.ts';

const report: ToldReport = {
  ...{ pool: 'app', node: 'a', url: 'http://a:1', age: 12.5, up: null, failures: 0, detail: '', role: null, epoch: 3 },
  ...{ cluster: null, position: 17, lag: null, primaryHeard: 2.5, wanted: true },
};
const words: readonly Word[] = [
  { kind: 'report', clock: 1.25, policies: [['app', 'x']], reports: [report] },
  { kind: 'probe', pool: 'app', node: 'a' },
  { kind: 'held', pool: 'app', epoch: 3, open: false, done: true, writing: 0, passed: null, partial: true },
  { kind: 'drain', pool: 'app', epoch: 3, on: true },
  {
    ...{ kind: 'run', id: 4, pool: 'app', hook: 'promote', target: { node: 'a', url: 'u' }, epoch: 4 },
    ...{ reason: 'failover', policy: 'x', term: 2, deadline: 99.5 },
  },
  { kind: 'ran', id: 4, term: 2, ok: false, detail: 'no', position: null },
  { kind: 'state', pool: 'app', state: 'NORMAL', reason: '', differing: ['m2'] },
];

describe('words', () => {
  it.each(words.map((word) => [word.kind, word] as const))('%s comes back as it was', (_kind, word) => {
    expect(decodeWord(encodeWord(word))).toEqual(word);
  });

  it('the longest word fits', () => {
    const long = 'x'.repeat(300);
    const full = { ...report, pool: long, node: long, url: long, detail: 'x'.repeat(160), role: long, cluster: long };
    const reports = Array.from({ length: reportsPerWord }, () => full);
    const bytes = encodeWord({ kind: 'report', clock: 1, policies: [], reports });
    expect(bytes.byteLength).toBeLessThanOrEqual(wordBytesMax);
    expect(decodeWord(bytes)).not.toBeNull();
  });

  it('another version, a missing, a wrong or an endless field: none', () => {
    const held = { v: 1, kind: 'held', pool: 'app', epoch: 3, open: false, done: true, writing: 0, passed: null };
    const none = (more: object): boolean =>
      decodeWord(new TextEncoder().encode(JSON.stringify({ ...held, ...more }))) === null;
    expect(none({})).toBe(false);
    const wrong = [
      { v: 2 },
      { kind: 'x' },
      { epoch: -1 },
      { epoch: 1.5 },
      { epoch: undefined },
      { done: 1 },
      { pool: 7 },
    ];
    for (const more of [...wrong, { pool: 'x'.repeat(301) }, { passed: 'x' }, { kind: '__proto__' }])
      expect(none(more), JSON.stringify(more)).toBe(true);
  });

  it('any bytes, any JSON, any word with a few bytes changed: none throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decodeWord(bytes) === null));
    fc.assert(fc.property(fc.json(), (text) => decodeWord(new TextEncoder().encode(text)) === null));
    const at = fc.tuple(fc.constantFrom(...words), fc.nat(), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(at, ([word, place, byte]) => {
        const bytes = encodeWord(word);
        bytes[place % bytes.length] = byte;
        decodeWord(bytes);
      }),
    );
  });
});
