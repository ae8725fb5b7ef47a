import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter, textBytes } from '../../../src/cluster/replica/bytes.ts';
import { decodeProposal, encodeProposal, proposalVersion, stampProposal } from '../../../src/cluster/replica/codec.ts';
import { latestAt } from '../../../src/cluster/replica/model.ts';
import { decodeResult, encodeResult } from '../../../src/cluster/replica/result-codec.ts';
import { anyProposal, anyResult } from './arbitraries.ts';

const set = {
  proposer: { uid: 'm', boot: 3, number: 7 },
  at: 1_800_000_000_123,
  command: { kind: 'delete', key: 'key', when: { kind: 'any' } },
} as const;

describe('bytes', () => {
  it('whole numbers up to 2^53 - 1 come back', () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(70_000), fc.maxSafeNat()), (number) => {
        const reader = new ByteReader(new ByteWriter().number(number).take());
        expect(reader.number()).toBe(number);
        expect(reader.done()).toBe(true);
      }),
    );
  });

  it.each([
    ['longer than need be', [0x80, 0x00]],
    ['beyond 2^53', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['without an end', [0x80, 0x80]],
  ])('a number that is %s is refused', (_, raw) => {
    const reader = new ByteReader(new Uint8Array(raw));
    reader.number();
    expect(reader.failed).toBe(true);
  });

  it('bytes that are read are a copy, also out of what a socket gave: they keep nothing else alive', () => {
    const all = new ByteWriter()
      .bytes(new Uint8Array([1, 2, 3]))
      .bytes(new Uint8Array(30_000))
      .take();
    for (const given of [all, Buffer.from(all)]) {
      const read = new ByteReader(given).bytes();
      given.fill(9);
      expect(read).toEqual(new Uint8Array([1, 2, 3]));
      expect(read.buffer.byteLength).toBe(3);
    }
  });

  it('a text that is no UTF-8 is refused, a byte order mark is kept', () => {
    const bad = new ByteReader(new ByteWriter().bytes(new Uint8Array([0xc3, 0x28])).take());
    bad.text();
    expect(bad.failed).toBe(true);
    expect(new ByteReader(new ByteWriter().text('\ufeffa').take()).text()).toBe('\ufeffa');
  });

  it('any text takes the bytes of its UTF-8 and comes back, short or long', () => {
    const unit = fc.constantFrom('a', '\u007f', '\u0080', 'é', '\u07ff', '\u0800', '€', '\uffff', '😀', '\u0000');
    const any = fc.oneof(fc.string({ unit, maxLength: 140 }), fc.string({ minLength: 120, maxLength: 140 }));
    fc.assert(
      fc.property(any, any, (first, second) => {
        const raw = new ByteWriter().text(first).text(second).take();
        expect(textBytes(first)).toBe(Buffer.byteLength(first));
        const expected = new ByteWriter().bytes(Buffer.from(first)).bytes(Buffer.from(second)).take();
        expect(raw).toEqual(expected);
        const reader = new ByteReader(raw);
        expect([reader.text(), reader.text(), reader.done()]).toEqual([first, second, true]);
      }),
      { numRuns: 500 },
    );
    expect(textBytes('a\ud800b\udc00\ud800')).toBe(Buffer.byteLength('a\ud800b\udc00\ud800'));
  });

  it('a length beyond the end is refused before memory is asked for', () => {
    const raw = new ByteWriter().number(Number.MAX_SAFE_INTEGER).take();
    for (const read of [(r: ByteReader) => r.bytes(), (r: ByteReader) => r.list(() => r.byte())]) {
      const reader = new ByteReader(raw);
      expect(read(reader)).toHaveLength(0);
      expect(reader.failed).toBe(true);
    }
  });
});

describe('proposals as bytes', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(anyProposal, (proposal) => {
        expect(decodeProposal(encodeProposal(proposal))).toEqual({ ok: true, value: proposal });
      }),
      { numRuns: 500 },
    );
  });

  it('have one form: what can be read is written as the same bytes again', () => {
    const changed = fc.tuple(anyProposal, fc.nat(), fc.nat(255)).map(([proposal, place, byte]) => {
      const raw = encodeProposal(proposal);
      raw[place % raw.length] = byte;
      return raw;
    });
    fc.assert(
      fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 80 })), (raw) => {
        const decoded = decodeProposal(raw);
        if (decoded.ok) expect(encodeProposal(decoded.value)).toEqual(raw);
        else expect(['malformed', 'version']).toContain(decoded.error);
      }),
      { numRuns: 2000 },
    );
  });

  it('are refused when cut off or with bytes behind', () => {
    const raw = encodeProposal(set);
    for (let end = 0; end < raw.length; end++) expect(decodeProposal(raw.subarray(0, end)).ok).toBe(false);
    expect(decodeProposal(new Uint8Array([...raw, 0])).ok).toBe(false);
  });

  it('of a newer version are told apart from malformed ones', () => {
    const raw = encodeProposal(set);
    raw[0] = proposalVersion + 1;
    expect(decodeProposal(raw)).toEqual({ ok: false, error: 'version' });
    raw[0] = 0;
    expect(decodeProposal(raw)).toEqual({ ok: false, error: 'malformed' });
  });

  it('are refused without a proposer, with number 0, with facts out of order, with a time beyond the counters', () => {
    const refused = [
      { ...set, proposer: { ...set.proposer, uid: '' } },
      { ...set, proposer: { ...set.proposer, uid: 'u'.repeat(65) } },
      { ...set, proposer: { ...set.proposer, number: 0 } },
      { ...set, at: latestAt + 1 },
      {
        ...set,
        command: {
          kind: 'register',
          what: 'node',
          id: 'n',
          facts: [
            ['b', ''],
            ['a', ''],
          ],
        },
      } as const,
      {
        ...set,
        command: {
          kind: 'register',
          what: 'node',
          id: 'n',
          facts: [
            ['a', ''],
            ['a', ''],
          ],
        },
      } as const,
    ];
    for (const proposal of refused) {
      expect(decodeProposal(encodeProposal(proposal))).toEqual({ ok: false, error: 'malformed' });
    }
  });

  it('stamping leaves what it was given as it is', () => {
    const given = Buffer.from(encodeProposal(set));
    const before = given.toString('hex');
    expect(decodeProposal(stampProposal(given, 5))).toMatchObject({ ok: true, value: { at: 5 } });
    expect(given.toString('hex')).toBe(before);
  });

  it('are stamped in place: the leader changes the time and nothing else', () => {
    fc.assert(
      fc.property(anyProposal, fc.nat(latestAt), (proposal, at) => {
        const raw = encodeProposal({ ...proposal, at: 0 });
        expect(decodeProposal(stampProposal(raw, at))).toEqual({ ok: true, value: { ...proposal, at } });
        expect(decodeProposal(raw)).toEqual({ ok: true, value: { ...proposal, at: 0 } });
      }),
    );
  });
});

describe('results as bytes', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(anyResult, (result) => {
        expect(decodeResult(encodeResult(result))).toEqual({ ok: true, value: result });
      }),
      { numRuns: 500 },
    );
  });

  it('never throw, and have one form', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (raw) => {
        const decoded = decodeResult(raw);
        if (decoded.ok) expect(encodeResult(decoded.value)).toEqual(raw);
      }),
      { numRuns: 2000 },
    );
  });
});
