import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlotTable } from '../../src/scoreboard/slots.ts';

const always = (): boolean => true;

describe('slot table', () => {
  it('gives each name its own slot and keeps it', () => {
    const table = new SlotTable('nodes', 10);
    expect(table.take('a')).toEqual({ slot: 0, fresh: true });
    expect(table.take('b')).toEqual({ slot: 1, fresh: true });
    expect(table.take('a')).toEqual({ slot: 0, fresh: false });
    expect(table.slotOf('b')).toBe(1);
    expect(table.slotOf('c')).toBeUndefined();
    expect([...table.names()]).toEqual(['a', 'b']);
  });

  it('does not give a removed slot away before every thread has swapped', () => {
    const table = new SlotTable('nodes', 1);
    table.take('a');
    table.remove('a', 2);
    expect(table.sweep(1, always)).toEqual([]);
    expect(() => table.take('b')).toThrow('more than 1 nodes at once');
    expect(table.sweep(2, always)).toEqual([0]);
    expect(table.take('b')).toEqual({ slot: 0, fresh: true });
  });

  it('keeps the slot of a node whose last WebSocket holds an old snapshot, and one whose gauge is not 0', () => {
    const table = new SlotTable('nodes', 4);
    table.take('chat');
    table.remove('chat', 5);
    for (const version of [6, 7, 8]) expect(table.sweep(4, always), `at version ${version}`).toEqual([]);
    expect(table.take('new').slot).toBe(1);
    expect(table.sweep(9, () => false)).toEqual([]);
    expect(table.sweep(9, always)).toEqual([0]);
  });

  it('gives a name that comes back another slot while its old one is still held', () => {
    const table = new SlotTable('nodes', 4);
    const before = table.take('a').slot;
    table.remove('a', 3);
    const after = table.take('a');
    expect(after.fresh).toBe(true);
    expect(after.slot).not.toBe(before);
    expect(table.sweep(3, always)).toEqual([before]);
    expect(table.slotOf('a')).toBe(after.slot);
  });

  it('never lets two names share a slot, whatever comes and goes', () => {
    const step = fc.record({
      op: fc.constantFrom('take', 'remove', 'sweep'),
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      version: fc.nat(20),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const table = new SlotTable('nodes', 1000);
        const leaving = new Set<number>();
        for (const { op, name, version } of steps) {
          if (op === 'take') {
            const { slot, fresh } = table.take(name);
            if (fresh) expect(leaving.has(slot)).toBe(false);
          } else if (op === 'remove') {
            const slot = table.slotOf(name);
            if (slot !== undefined) leaving.add(slot);
            table.remove(name, version);
          } else for (const slot of table.sweep(version, always)) leaving.delete(slot);
          const used = [...table.names()].map((each) => table.slotOf(each)!);
          expect(new Set(used).size).toBe(used.length);
        }
      }),
    );
  });
});
