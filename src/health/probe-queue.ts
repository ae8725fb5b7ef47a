/**
 * Which node is probed when: one queue over all pools. A node has at most one probe, waiting or running; asking for
 * one while one runs means one more right behind it. Entries of the heap count only while their node says the same
 * time, so nothing is ever searched in it.
 */
import type { Millis } from '../base/ids.ts';
import { TimeHeap } from '../base/time-heap.ts';
import { isProbed, type NodeEntry } from './entry.ts';
import { urgentProbeAt } from './schedule.ts';

const never = Number.POSITIVE_INFINITY;

export class ProbeQueue {
  readonly #heap = new TimeHeap<NodeEntry>();

  /** When the next probe is due; Infinity if none is. */
  nextAt(): Millis {
    for (;;) {
      const entry = this.#heap.peek();
      if (entry === undefined) return never;
      const { probe } = entry;
      if (!entry.gone && probe.at === 'waiting' && probe.due === this.#heap.peekAt()) return probe.due;
      this.#heap.pop();
    }
  }

  /** Takes the next node if its probe is due; the probe counts as running from now on. */
  begin(now: Millis): NodeEntry | undefined {
    if (this.nextAt() > now) return undefined;
    const entry = this.#heap.pop();
    if (entry === undefined) return undefined;
    entry.probe = { at: 'running', again: false, discard: false };
    entry.probeStartedAt = now;
    return entry;
  }

  /** The running probe has ended. Returns what was asked of it meanwhile; null if none ran. */
  end(entry: NodeEntry): { readonly again: boolean; readonly discard: boolean } | null {
    if (entry.probe.at !== 'running') return null;
    const { again, discard } = entry.probe;
    entry.probe = { at: 'waiting', due: never };
    return { again, discard };
  }

  /** Sets when a node that has no probe running is probed next. */
  schedule(entry: NodeEntry, due: Millis): void {
    if (entry.probe.at === 'running' || entry.probe.due === due) return;
    entry.probe = { at: 'waiting', due: isProbed(entry) ? due : never };
    if (entry.probe.due !== never) this.#heap.push(due, entry);
  }

  /** Asks for a probe at once, bounded to 20 a second. */
  urgent(entry: NodeEntry, now: Millis): void {
    if (!isProbed(entry)) return;
    if (entry.probe.at === 'running') {
      entry.probe = { at: 'running', again: true, discard: entry.probe.discard };
      return;
    }
    this.schedule(entry, Math.min(entry.probe.due, urgentProbeAt(entry.probeStartedAt, now)));
  }

  /** Probes a node no more; the result of a probe that runs is of no use. */
  stop(entry: NodeEntry): void {
    if (entry.probe.at === 'running') entry.probe = { at: 'running', again: false, discard: true };
    else this.schedule(entry, never);
  }
}
