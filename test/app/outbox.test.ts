import { describe, expect, it } from 'vitest';
import type { FromThread } from '../../src/app/messages.ts';
import { eventsPerSecond, Outbox } from '../../src/app/outbox.ts';
import type { EngineEvent, NodeSignal } from '../../src/proxy/outcome.ts';

function world() {
  const posted: FromThread[] = [];
  const waiting: (() => void)[] = [];
  const clock = { now: 0 };
  const dropped = { count: 0 };
  const outbox = new Outbox({
    post: (message) => void posted.push(message),
    schedule: (callback) => void waiting.push(callback),
    now: () => clock.now,
    onDropped: (count) => {
      dropped.count += count;
    },
  });
  const tick = (): void => {
    for (const callback of waiting.splice(0)) callback();
  };
  const signals = (): NodeSignal[] => posted.flatMap((one) => (one.kind === 'signals' ? one.signals : []));
  const events = (): EngineEvent[] => posted.flatMap((one) => (one.kind === 'events' ? one.events : []));
  return { outbox, posted, waiting, clock, dropped, tick, signals, events };
}

const signal = (kind: NodeSignal['signal'], slot = 1): NodeSignal => ({
  pool: 'app',
  node: `n${slot}`,
  slot,
  generation: 1,
  signal: kind,
  detail: 'as told',
});
const event = (message: string): EngineEvent => ({ level: 'info', event: 'test', message, fields: {} });

describe('outbox', () => {
  it('posts the first refused connection at once, and what follows in batches', () => {
    const { outbox, posted, tick, signals } = world();
    outbox.signal(signal('refused'));
    expect(signals()).toHaveLength(1);
    for (let i = 0; i < 1000; i++) outbox.signal(signal('refused'));
    outbox.signal(signal('refused', 2));
    expect(posted).toHaveLength(1);
    tick();
    expect(posted).toHaveLength(2);
    expect(signals().map(({ slot }) => slot)).toEqual([1, 1, 2]);
  });

  it('merges repeats of a signal, keeps different ones apart', () => {
    const { outbox, tick, signals } = world();
    for (let i = 0; i < 50; i++) outbox.signal(signal('errors'));
    outbox.signal(signal('reset'));
    outbox.signal(signal('errors', 2));
    expect(signals()).toEqual([]);
    tick();
    expect(signals().map((one) => `${one.slot} ${one.signal}`)).toEqual(['1 errors', '1 reset', '2 errors']);
  });

  it('merges repeats of an event and says how many', () => {
    const { outbox, tick, events } = world();
    for (let i = 0; i < 5; i++) outbox.event(event('the same'));
    outbox.event(event('another'));
    tick();
    expect(events().map(({ message, fields }) => [message, fields['repeats']])).toEqual([
      ['the same', 4],
      ['another', undefined],
    ]);
  });

  it('spends a budget of events per second, counts the rest, and tells of it in the next', () => {
    const { outbox, clock, dropped, tick, events } = world();
    for (let i = 0; i < eventsPerSecond + 30; i++) outbox.event(event(`scan ${i}`));
    tick();
    expect(events()).toHaveLength(eventsPerSecond);
    expect(dropped.count).toBe(30);
    clock.now = 1000;
    outbox.event(event('later'));
    tick();
    expect(
      events()
        .slice(eventsPerSecond)
        .map((one) => one.event),
    ).toEqual(['events-dropped', 'test']);
    expect(events()[eventsPerSecond]?.message).toContain('30 log lines');
  });

  it('holds a bounded number of signals', () => {
    const { outbox, tick, signals } = world();
    for (let slot = 0; slot < 5000; slot++) outbox.signal(signal('errors', slot));
    tick();
    expect(signals()).toHaveLength(1024);
  });

  it('arms nothing while there is nothing to say', () => {
    const { outbox, posted, waiting, tick } = world();
    outbox.event(event('one'));
    tick();
    expect(posted).toHaveLength(1);
    expect(waiting).toEqual([]);
    outbox.flush();
    expect(posted).toHaveLength(1);
  });
});
