/**
 * What a data thread has to tell the control thread, on its way: merged, bounded, and not one message each.
 *
 *   engine --signal/event--> Outbox --every few ms, or at once for a refused connection--> postMessage
 *
 * A dead node under load refuses thousands of connections a second, and a scanner sends as many bad requests; neither
 * may flood the control thread, which has heartbeats to send. Repeats within a batch are merged, at most `signalBound`
 * different signals wait, and events spend a budget per second. What did not fit is counted, and told once a second.
 */
import type { Millis } from '../base/ids.ts';
import type { EngineEvent, NodeSignal } from '../proxy/outcome.ts';
import type { FromThread } from './messages.ts';

export interface OutboxOptions {
  readonly post: (message: FromThread) => void;
  /** Calls back after a delay, once. */
  readonly schedule: (callback: () => void, delayMs: Millis) => void;
  /** Monotonic. */
  readonly now: () => Millis;
  /** Events that were not told. */
  readonly onDropped: (count: number) => void;
}

const batchMs = 5;
const signalBound = 1024;
/** Different events told per second and thread. */
export const eventsPerSecond = 200;

export class Outbox {
  readonly #options: OutboxOptions;
  #signals = new Map<string, NodeSignal>();
  #events = new Map<string, { readonly event: EngineEvent; repeats: number }>();
  #scheduled = false;
  #secondEnds = 0;
  #budget = eventsPerSecond;
  #dropped = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Signals of one kind of one node are merged; the last detail stays. */
  signal(signal: NodeSignal): void {
    const key = `${signal.slot}:${signal.generation}:${signal.signal}`;
    const repeated = this.#signals.has(key);
    if (!repeated && this.#signals.size >= signalBound) return;
    this.#signals.set(key, signal);
    // The first refused connection leaves at once; its node is out of the pick a hop later.
    if (signal.signal === 'refused' && !repeated && !this.#scheduled) this.flush();
    this.#arm();
  }

  event(event: EngineEvent): void {
    const key = `${event.event} ${event.message}`;
    const known = this.#events.get(key);
    if (known !== undefined) {
      known.repeats++;
      return;
    }
    this.#renewBudget();
    if (this.#budget <= 0) {
      this.#dropped++;
      this.#options.onDropped(1);
      return;
    }
    this.#budget--;
    this.#events.set(key, { event, repeats: 0 });
    this.#arm();
  }

  /** Posts all that waits. */
  flush(): void {
    if (this.#signals.size > 0) {
      const signals = [...this.#signals.values()];
      this.#signals = new Map();
      this.#options.post({ kind: 'signals', signals });
    }
    if (this.#events.size > 0) {
      const events = [...this.#events.values()].map(withRepeats);
      this.#events = new Map();
      this.#options.post({ kind: 'events', events });
    }
  }

  #arm(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.schedule(() => {
      this.#scheduled = false;
      this.flush();
    }, batchMs);
  }

  #renewBudget(): void {
    const now = this.#options.now();
    if (now < this.#secondEnds) return;
    this.#secondEnds = now + 1000;
    this.#budget = eventsPerSecond;
    if (this.#dropped === 0) return;
    const count = this.#dropped;
    this.#dropped = 0;
    this.event({
      level: 'warn',
      event: 'events-dropped',
      message: `${count} log lines of this data thread were dropped: more than ${eventsPerSecond} a second`,
      fields: { count },
    });
  }
}

function withRepeats(entry: { readonly event: EngineEvent; readonly repeats: number }): EngineEvent {
  const { event, repeats } = entry;
  return repeats === 0 ? event : { ...event, fields: { ...event.fields, repeats } };
}
