/**
 * Whether a history could have come from one thing that does one operation at a time, each between its call and its return
 * (Herlihy and Wing, 1990). After Wing and Gong (1993) with Lowe's memory of configurations (2017):
 *
 *   - events (calls and returns) in a list, in their order; walk from its front
 *   - at a call: try to let it happen now; if the model allows it, take it out of the list and begin anew at the front
 *   - at a return: its operation should have happened before. Undo the last choice and go on behind it
 *   - a configuration (which operations have happened, in which state) is never tried twice
 *
 * Histories of several keys are checked key by key, since each key is a thing of its own (P-compositionality). Operations
 * of unknown outcome have no return: they may happen at any time, or never. A model may have several states after an
 * operation (what an unanswered write did); all are kept.
 *
 * Two things shorten the search without changing its verdict. What only tells of the state, and tells nothing new, happens
 * as soon as it can: later it could only fit worse. What may never have happened and changes nothing waits.
 *
 * The search is bounded: beyond it the verdict is `undecided`, never a guess.
 */
import type { Operation } from './history.ts';

export interface Model<S, I, O> {
  readonly initial: S;
  /** Operations with unlike parts can't influence each other. */
  part(input: I): string;
  /** All states after the operation, none if it can't end so. `output` null: it may have ended in any way. */
  step(state: S, input: I, output: O | null): readonly S[];
  /** Whether an operation that ended so only tells of the state: in no state does it change anything. */
  tells(input: I, output: O): boolean;
  /** Equal texts for equal states. */
  key(state: S): string;
}

export type Verdict<I, O> =
  | { readonly kind: 'linearizable' }
  | {
      readonly kind: 'violation';
      readonly part: string;
      /** The longest order that works, and the operation that can't be fitted behind it. */
      readonly longest: readonly Operation<I, O>[];
      readonly stuck: Operation<I, O>;
    }
  | { readonly kind: 'undecided'; readonly part: string; readonly steps: number };

/** Configurations per part; about a second. */
const stepsMax = 2_000_000;

export function check<S, I, O>(
  model: Model<S, I, O>,
  history: readonly Operation<I, O>[],
  budget = stepsMax,
): Verdict<I, O> {
  const parts = Map.groupBy(history, (operation) => model.part(operation.input));
  let undecided: Verdict<I, O> | null = null;
  for (const [part, operations] of parts) {
    const verdict = new Search(model, operations, budget).run(part);
    if (verdict.kind === 'violation') return verdict;
    if (verdict.kind === 'undecided') undecided ??= verdict;
  }
  return undecided ?? { kind: 'linearizable' };
}

interface Event {
  readonly at: number;
  readonly id: number;
  /** The return of a call that was answered; null for returns and for what was not answered. */
  match: Event | null;
  readonly isCall: boolean;
  previous: Event | null;
  next: Event | null;
}

interface Choice<S> {
  readonly event: Event;
  /** Before it. */
  readonly states: readonly S[];
  /** There was nothing to choose: if what follows fails, so would the rest. */
  readonly forced: boolean;
}

class Search<S, I, O> {
  readonly #model: Model<S, I, O>;
  readonly #operations: readonly Operation<I, O>[];
  readonly #budget: number;
  readonly #head: Event;
  readonly #seen = new Set<string>();
  readonly #choices: Choice<S>[] = [];
  readonly #happened: Uint16Array;
  #states: readonly S[];
  /** Answered operations that have not happened yet. */
  #left: number;
  #longest: readonly Operation<I, O>[] = [];
  #stuck: Operation<I, O> | null = null;

  constructor(model: Model<S, I, O>, operations: readonly Operation<I, O>[], budget: number) {
    this.#model = model;
    this.#operations = operations;
    this.#budget = budget;
    this.#head = linked(operations);
    this.#happened = new Uint16Array(Math.ceil(operations.length / 16));
    this.#states = [model.initial];
    this.#left = operations.filter((operation) => operation.output !== null).length;
  }

  run(part: string): Verdict<I, O> {
    let event = this.#head.next;
    for (let steps = 0; this.#left > 0; steps++) {
      if (steps > this.#budget) return { kind: 'undecided', part, steps };
      if (event?.isCall) {
        event = this.#happen(event) ? this.#head.next : event.next;
        continue;
      }
      this.#note(event);
      const choice = this.#back();
      if (choice === null) return { kind: 'violation', part, longest: this.#longest, stuck: this.#stuck! };
      event = choice.event.next;
    }
    return { kind: 'linearizable' };
  }

  /** Undoes up to and with the last true choice; null if there is none. */
  #back(): Choice<S> | null {
    for (let choice = this.#choices.pop(); choice !== undefined; choice = this.#choices.pop()) {
      this.#undo(choice);
      if (!choice.forced) return choice;
    }
    return null;
  }

  #happen(event: Event): boolean {
    const operation = this.#operations[event.id]!;
    const states = this.#after(operation);
    if (states.length === 0) return false;
    const { input, output } = operation;
    const name = this.#name(states);
    const same = name === this.#name(this.#states);
    if (output === null && same) return false;
    this.#flip(event.id);
    const configuration = `${String.fromCharCode(...this.#happened)}|${name}`;
    if (this.#seen.has(configuration)) {
      this.#flip(event.id);
      return false;
    }
    this.#seen.add(configuration);
    const forced = same && output !== null && this.#model.tells(input, output);
    this.#choices.push({ event, states: this.#states, forced });
    this.#states = states;
    if (output !== null) this.#left -= 1;
    unlink(event);
    if (event.match !== null) unlink(event.match);
    return true;
  }

  #undo({ event, states }: Choice<S>): void {
    this.#states = states;
    this.#flip(event.id);
    if (this.#operations[event.id]!.output !== null) this.#left += 1;
    if (event.match !== null) relink(event.match);
    relink(event);
  }

  /** All states that can be, each once, in a fixed order. */
  #after({ input, output }: Operation<I, O>): readonly S[] {
    const found = new Map<string, S>();
    for (const before of this.#states) {
      for (const after of this.#model.step(before, input, output)) found.set(this.#model.key(after), after);
    }
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, state]) => state);
  }

  #name(states: readonly S[]): string {
    return states.map((state) => this.#model.key(state)).join('|');
  }

  #flip(id: number): void {
    this.#happened[id >> 4] = this.#happened[id >> 4]! ^ (1 << (id & 15));
  }

  /** Keeps the farthest that the search came, for whoever must understand a violation. */
  #note(event: Event | null): void {
    if (event === null || (this.#stuck !== null && this.#choices.length <= this.#longest.length)) return;
    this.#longest = this.#choices.map((choice) => this.#operations[choice.event.id]!);
    this.#stuck = this.#operations[event.id]!;
  }
}

function linked<I, O>(operations: readonly Operation<I, O>[]): Event {
  const events: Event[] = [];
  operations.forEach((operation, id) => {
    const call: Event = { at: operation.call, id, match: null, isCall: true, previous: null, next: null };
    events.push(call);
    if (operation.output === null) return;
    call.match = { at: operation.return, id, match: null, isCall: false, previous: null, next: null };
    events.push(call.match);
  });
  events.sort((a, b) => a.at - b.at);
  const head: Event = { at: -1, id: -1, match: null, isCall: false, previous: null, next: null };
  let last = head;
  for (const event of events) {
    last.next = event;
    event.previous = last;
    last = event;
  }
  return head;
}

function unlink(event: Event): void {
  event.previous!.next = event.next;
  if (event.next !== null) event.next.previous = event.previous;
}

/** Puts back what was taken out last. */
function relink(event: Event): void {
  event.previous!.next = event;
  if (event.next !== null) event.next.previous = event;
}

/** A violation in lines that a person can follow. */
export function describeVerdict<I, O>(verdict: Verdict<I, O>): string {
  if (verdict.kind === 'linearizable') return 'linearizable';
  if (verdict.kind === 'undecided') return `undecided for ${verdict.part} after ${verdict.steps} steps`;
  const line = (operation: Operation<I, O>): string =>
    `  [${operation.call}, ${operation.return}] ${operation.client}: ${JSON.stringify(operation.input)} -> ${JSON.stringify(operation.output)}`;
  const tail = verdict.longest.slice(-10).map(line);
  return [
    `not linearizable: ${verdict.part}. The longest order that works ends with`,
    ...tail,
    'and then this cannot have happened:',
    line(verdict.stuck),
  ].join('\n');
}
