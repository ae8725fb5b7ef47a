import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Outbox, type Outgoing } from '../../../src/cluster/frames/outbox.ts';
import {
  Assembler,
  decodePiece,
  encodePiece,
  type Piece,
  pieceMax,
  type Whole,
} from '../../../src/cluster/frames/record.ts';

const limits = { smallBytes: 1000, smallCount: 4, largeBytes: 4 * pieceMax, largeCount: 2 };
const message = (number: number, size: number, droppable = true): Outgoing => ({
  form: droppable ? 'message' : 'request',
  kind: 1,
  number,
  bytes: new Uint8Array(size).fill(number),
  droppable,
});

describe('outbox', () => {
  it('drops the oldest that may be lost, by count and by bytes', () => {
    const outbox = new Outbox(limits);
    expect(outbox.push(message(1, 10, false))).toEqual([]);
    for (const number of [2, 3, 4]) outbox.push(message(number, 10));
    expect(outbox.push(message(5, 10)).map((one) => one.number)).toEqual([2]);
    expect(outbox.push(message(6, 990)).map((one) => one.number)).toEqual([3, 4, 5]);
    expect(outbox.count).toBe(2);
    expect(outbox.smallBytes).toBe(1000);
  });

  it('refuses the new one when nothing older may be lost', () => {
    const outbox = new Outbox(limits);
    for (const number of [1, 2, 3, 4]) outbox.push(message(number, 10, false));
    expect(outbox.push(message(5, 10, false)).map((one) => one.number)).toEqual([5]);
  });

  it('small messages pass between the pieces of a large one; one that has begun is not dropped', () => {
    const outbox = new Outbox(limits);
    outbox.push(message(1, pieceMax * 2 + 1));
    expect(outbox.next()?.piece).toMatchObject({ number: 1, last: false });
    outbox.push(message(2, pieceMax + 1));
    outbox.push(message(7, 1));
    expect(outbox.push(message(3, pieceMax + 1)).map((one) => one.number)).toEqual([2]);
    const rest = [];
    for (let next = outbox.next(); next !== null; next = outbox.next()) rest.push([next.piece.number, next.piece.last]);
    expect(rest).toEqual([
      [7, true],
      [1, false],
      [1, true],
      [3, false],
      [3, true],
    ]);
  });

  it('large ones are bounded by their bytes too, and one alone may be of any size', () => {
    const outbox = new Outbox({ ...limits, largeCount: 100 });
    for (const number of [1, 2, 3]) expect(outbox.push(message(number, pieceMax + 1))).toEqual([]);
    expect(outbox.push(message(4, 2 * pieceMax)).map((one) => one.number)).toEqual([1, 2]);
    expect(outbox.largeBytes).toBe(3 * pieceMax + 1);
    expect(outbox.push(message(5, 9 * pieceMax)).map((one) => one.number)).toEqual([3, 4]);
    while (outbox.next() !== null);
    expect(outbox.largeBytes).toBe(0);
    for (const number of [1, 2]) outbox.push(message(number, 2 * pieceMax, false));
    expect(outbox.push(message(3, 2 * pieceMax, false)).map((one) => one.number)).toEqual([3]);
    outbox.clear();
    expect(outbox.largeBytes).toBe(0);
  });

  it('holds all that agreement has under way to one member', () => {
    const outbox = new Outbox();
    for (let number = 0; number < 64; number++) expect(outbox.push(message(number, 2 * pieceMax))).toEqual([]);
    const wide = new Outbox();
    for (let number = 0; number < 16; number++) expect(wide.push(message(number, 8 * pieceMax))).toEqual([]);
  });

  it('a stream of small messages does not starve a large one', () => {
    const outbox = new Outbox({ ...limits, smallCount: 1000 });
    outbox.push(message(1, pieceMax * 2));
    let turns = 0;
    for (; outbox.next()?.of.number !== 1; turns++) outbox.push(message(2, 1));
    expect(turns).toBeLessThanOrEqual(64);
  });

  it('whatever is pushed stays within the bounds', () => {
    const size = fc.oneof(fc.integer({ min: 0, max: 1200 }), fc.integer({ min: pieceMax + 1, max: 3 * pieceMax }));
    const push = fc.record({ size, droppable: fc.boolean(), take: fc.boolean() });
    fc.assert(
      fc.property(fc.array(push), (pushes) => {
        const outbox = new Outbox(limits);
        return pushes.every(({ size, droppable, take }, at) => {
          outbox.push(message(at % 256, size, droppable));
          if (take) outbox.next();
          const isSmall = outbox.smallBytes <= limits.smallBytes && outbox.largeBytes <= limits.largeBytes;
          return isSmall && outbox.count <= limits.smallCount + limits.largeCount;
        });
      }),
    );
  });
});

describe('records', () => {
  const through = (piece: Piece): Piece => decodePiece(encodePiece(piece))!;

  it('messages of any size come together again', () => {
    const outbox = new Outbox();
    const assembler = new Assembler();
    const sizes = [0, 1, pieceMax, pieceMax + 1, pieceMax * 3, 5];
    for (const [at, size] of sizes.entries()) outbox.push(message(at, size));
    const whole: Whole[] = [];
    for (let next = outbox.next(); next !== null; next = outbox.next()) {
      const result = assembler.add(through(next.piece));
      expect(result).not.toBe('protocol');
      if (result !== null && result !== 'protocol') whole.push(result);
    }
    whole.sort((a, b) => a.number - b.number);
    expect(whole.map((one) => one.bytes.byteLength)).toEqual(sizes);
    expect(whole.every((one) => one.bytes.every((byte) => byte === one.number))).toBe(true);
  });

  it('a peer that breaks the rules of pieces is found out', () => {
    const piece = (over: Partial<Piece>): Piece => ({
      ...{ form: 'message', last: false, kind: 1, number: 1, total: 10, bytes: new Uint8Array(4) },
      ...over,
    });
    const fed = (...pieces: Piece[]): unknown => {
      const assembler = new Assembler(100);
      return pieces.map((one) => assembler.add(one)).at(-1);
    };
    expect(fed(piece({ total: 101 }))).toBe('protocol');
    expect(fed(piece({ bytes: new Uint8Array(0) }))).toBe('protocol');
    expect(fed(piece({ last: true }))).toBe('protocol');
    expect(fed(piece({}), piece({ number: 2 }))).toBe('protocol');
    expect(fed(piece({}), piece({ bytes: new Uint8Array(7) }))).toBe('protocol');
    expect(fed(piece({}), piece({ bytes: new Uint8Array(6) }))).toBe('protocol');
    expect(fed(piece({}), piece({ bytes: new Uint8Array(6), last: true }))).toMatchObject({ number: 1 });
  });

  it('any bytes are a piece or null', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const piece = decodePiece(bytes);
        if (piece !== null) new Assembler(20).add(piece);
        return true;
      }),
    );
    expect(decodePiece(new Uint8Array(11))).toBeNull();
  });
});
