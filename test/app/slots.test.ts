import { describe, expect, it } from 'vitest';
import { Slots } from '../../src/app/slots.ts';
import { nodeId } from '../../src/base/ids.ts';
import type { Config } from '../../src/config/model.ts';
import { listenerCounters, nodeCell } from '../../src/scoreboard/layout.ts';
import { counterRow, nodeLine, Scoreboard } from '../../src/scoreboard/scoreboard.ts';

const a = nodeId('a');
const url = 'http://10.0.0.1:3000';

/** A config as far as slots look at it. */
const naming = (names: { pools?: string[]; nodes?: string[]; routes?: string[]; listen?: string[] }): Config =>
  ({
    pools: (names.pools ?? []).map((name) => ({ name, nodes: (names.nodes ?? []).map((id) => ({ id, url })) })),
    routes: (names.routes ?? []).map((name) => ({ name })),
    listen: (names.listen ?? []).map((name) => ({ name })),
  }) as unknown as Config;

function world() {
  const board = Scoreboard.create(2);
  return { board, slots: new Slots(board) };
}

describe('slots', () => {
  it('keep a node’s row while its pool, id and url stay', () => {
    const { slots } = world();
    const first = slots.node('app', a, url);
    expect(slots.node('app', a, url)).toEqual(first);
    expect(slots.node('app', a, 'http://10.0.0.2:3000').slot).not.toBe(first.slot);
    expect(slots.node('other', a, url).slot).not.toBe(first.slot);
  });

  it('give a row away cleared, under a new generation, once nobody holds the old snapshot', () => {
    const { board, slots } = world();
    const before = slots.node('app', a, url);
    board.lines[nodeLine(before.slot) + nodeCell.state] = 1;
    board.counters(1)[counterRow.node(before.slot)] = 7;
    slots.retire(naming({}), 2);
    slots.sweep(1);
    expect(slots.node('app', nodeId('b'), url).slot).not.toBe(before.slot);
    expect(board.sum(counterRow.node(before.slot))).toBe(7);
    slots.sweep(2);
    const after = slots.node('app', nodeId('c'), url);
    expect(after).toEqual({ slot: before.slot, generation: before.generation + 1 });
    expect(board.lines[nodeLine(after.slot) + nodeCell.state]).toBe(0);
    expect(board.sum(counterRow.node(after.slot))).toBe(0);
  });

  it('wait for the requests in flight of a node, and for the active ones of a pool', () => {
    const { board, slots } = world();
    const node = slots.node('app', a, url).slot;
    const pool = slots.pool('app');
    board.addInFlight(0, node, 1);
    board.addPool('active', { thread: 0, slot: pool, by: 1 });
    slots.retire(naming({}), 2);
    slots.sweep(9);
    expect(slots.node('app', nodeId('b'), url).slot).not.toBe(node);
    expect(slots.pool('new')).not.toBe(pool);
    board.addInFlight(0, node, -1);
    board.addPool('active', { thread: 0, slot: pool, by: -1 });
    slots.sweep(9);
    expect(slots.node('app', nodeId('c'), url).slot).toBe(node);
    expect(slots.pool('newer')).toBe(pool);
  });

  it('wait for the last connection that a listener accepted', () => {
    const { board, slots } = world();
    const slot = slots.listener(':8080');
    const row = counterRow.listener(slot);
    board.counters(0)[row + listenerCounters.indexOf('accepted')] = 2;
    board.counters(0)[row + listenerCounters.indexOf('closed')] = 1;
    slots.retire(naming({}), 2);
    slots.sweep(5);
    expect(slots.listener(':8081')).not.toBe(slot);
    board.counters(0)[row + listenerCounters.indexOf('closed')] = 2;
    slots.sweep(5);
    expect(slots.listener(':8082')).toBe(slot);
  });

  it('keep what the config still names', () => {
    const { slots } = world();
    const kept = [slots.pool('app'), slots.route('r'), slots.listener(':80'), slots.node('app', a, url).slot];
    slots.retire(naming({ pools: ['app'], nodes: ['a'], routes: ['r'], listen: [':80'] }), 2);
    slots.sweep(5);
    expect([slots.pool('app'), slots.route('r'), slots.listener(':80'), slots.node('app', a, url).slot]).toEqual(kept);
    expect(slots.slotOfNode('app', nodeId('nobody'), url)).toBeUndefined();
  });
});
