/** The last events that operators ask about; the oldest go when the bound is reached. Numbers go on without gaps. */
import { type ByteReader, type ByteWriter, textBytes } from './bytes.ts';
import type { Command, CommandResult } from './command.ts';
import type { Moment } from './events.ts';
import type { HistoryEvent, ReplicaLimits } from './model.ts';
import { Table } from './table.ts';

export function writeEvent(to: ByteWriter, event: HistoryEvent): void {
  to.number(event.number).number(event.at).text(event.topic).text(event.subject).text(event.text);
}

export const readEvent = (from: ByteReader): HistoryEvent => ({
  number: from.number(),
  at: from.number(),
  topic: from.text(),
  subject: from.text(),
  text: from.text(),
});

export class History {
  readonly #limits: ReplicaLimits;
  readonly #events = new Table<number, HistoryEvent>({ seed: 5, write: writeEvent });
  #last = 0;

  constructor(limits: ReplicaLimits) {
    this.#limits = limits;
  }

  get table(): Table<number, HistoryEvent> {
    return this.#events;
  }

  /** Number of the newest event; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  /** Events after this number, oldest first. */
  after(number: number): readonly HistoryEvent[] {
    const found: HistoryEvent[] = [];
    for (let at = Math.max(number, this.#last - this.#events.size) + 1; at <= this.#last; at++) {
      found.push(this.#events.get(at)!);
    }
    return found;
  }

  note(command: Extract<Command, { readonly kind: 'note' }>, moment: Moment): CommandResult {
    const { topic, subject, text } = command;
    const { nameBytes, recordBytes } = this.#limits;
    for (const name of [topic, subject]) {
      const size = textBytes(name);
      if (size > nameBytes) return { kind: 'too-large', what: 'name', size, max: nameBytes };
    }
    const size = textBytes(text);
    if (size > recordBytes) return { kind: 'too-large', what: 'record', size, max: recordBytes };
    this.add({ topic, subject, text }, moment);
    return { kind: 'done' };
  }

  add(what: { readonly topic: string; readonly subject: string; readonly text: string }, moment: Moment): void {
    const event: HistoryEvent = { number: this.#last + 1, at: moment.now, ...what };
    this.put(event);
    moment.events.push({ kind: 'noted', event });
  }

  put(event: HistoryEvent): void {
    this.#events.set(event.number, event);
    this.#last = event.number;
    if (this.#events.size > this.#limits.historyEvents) this.#events.delete(event.number - this.#events.size + 1);
  }
}
