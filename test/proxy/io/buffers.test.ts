/** A buffer is read into again only when nobody reads from it any more; the list has a bound. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferList, bufferBytes, type StreamBuffer } from '../../../src/proxy/io/buffers.ts';

describe('a stream buffer', () => {
  it('is given out again once its reader has left it and its writes are done, in either order', () => {
    const list = new BufferList();
    const first = list.take()!;
    first.beginWrite();
    first.detach();
    expect(list.take()).not.toBe(first);
    first.written();
    expect(list.take()).toBe(first);

    first.beginWrite();
    first.beginWrite();
    first.written();
    first.detach();
    expect(list.take()).not.toBe(first);
    first.written();
    expect(list.take()).toBe(first);
  });

  it('stays with its reader while writes come and go', () => {
    const list = new BufferList();
    const buffer = list.take()!;
    for (let i = 0; i < 3; i++) {
      buffer.beginWrite();
      buffer.written();
      expect(list.take()).not.toBe(buffer);
    }
  });

  it('its callback needs no receiver', () => {
    const list = new BufferList();
    const buffer = list.take()!;
    const { written } = buffer;
    buffer.beginWrite();
    buffer.detach();
    written();
    expect(list.take()).toBe(buffer);
  });

  it('is one read of a socket long', () => {
    expect(new BufferList().take()!.bytes).toHaveLength(bufferBytes);
  });
});

describe('the list of buffers', () => {
  it('hands out 512 at once, then none until one comes back', () => {
    const list = new BufferList();
    const taken = Array.from({ length: 512 }, () => list.take());
    expect(taken).not.toContain(null);
    expect(new Set(taken).size).toBe(512);
    expect(list.take()).toBeNull();
    taken[7]!.detach();
    expect(list.take()).toBe(taken[7]);
    expect(list.take()).toBeNull();
  });

  it('puts a head before what was read, over what stood there, if it has room', () => {
    const buffer = new BufferList().take()!;
    buffer.bytes.write('node head|body of the answer|next', 'latin1');
    expect(buffer.withHead('a longer head|', 10, 28)?.toString('latin1')).toBe('a longer head|body of the answer');
    expect(buffer.bytes.toString('latin1', 10, 33)).toBe('body of the answer|next');
    expect(buffer.withHead('h'.repeat(2058), 10, 14)?.toString('latin1')).toBe(`${'h'.repeat(2058)}body`);
    expect(buffer.withHead('h'.repeat(2059), 10, 14)).toBeNull();
  });

  it('counts right when it lets go of those that are too many to keep', () => {
    const list = new BufferList();
    for (let round = 0; round < 3; round++) {
      const taken = Array.from({ length: 512 }, () => list.take());
      expect([taken.includes(null), list.take()]).toEqual([false, null]);
      for (const buffer of taken) buffer!.detach();
    }
  });

  it('never hands out what is read into or still being written, whatever happens in whatever order', () => {
    const step = fc.record({ do: fc.constantFrom('take', 'write', 'written', 'detach'), which: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const list = new BufferList();
        const inUse = new Map<StreamBuffer, { reading: boolean; writes: number }>();
        for (const { do: what, which } of steps) {
          const [buffer, use] = [...inUse][which] ?? [];
          if (what === 'take') {
            const taken = list.take()!;
            expect(inUse.has(taken)).toBe(false);
            inUse.set(taken, { reading: true, writes: 0 });
          } else if (buffer === undefined || use === undefined) continue;
          else if (what === 'write' && use.reading) {
            buffer.beginWrite();
            use.writes++;
          } else if (what === 'written' && use.writes > 0) {
            buffer.written();
            use.writes--;
          } else if (what === 'detach' && use.reading) {
            buffer.detach();
            use.reading = false;
          }
          if (use !== undefined && !use.reading && use.writes === 0) inUse.delete(buffer!);
        }
      }),
    );
  });
});
