/**
 * The routes of one host and path, in config order, with the conditions that the place in the index has not answered:
 * method, listener, fields. Routes that ask for an exact field value are found by that value; the others are tried one
 * by one, up to the first without conditions: what comes after it can't be reached and is left out.
 */
import type { RequestFacts, RouteRow } from './snapshot.ts';

/** Slots of the listeners by name. */
export type ListenerSlots = Readonly<Record<string, number>>;

export interface Candidate {
  /** Number of the row. */
  readonly order: number;
  /** Slots of listeners; null = all. */
  readonly listeners: readonly number[] | null;
  readonly methods: readonly string[] | null;
  readonly headers: RouteRow['headers'] | null;
}

/** Routes that ask for exact values of one field. */
interface HeaderGroup {
  readonly name: string;
  readonly values: Map<string, Candidate[]>;
}

export class Candidates {
  readonly #plain: Candidate[] = [];
  #groups: HeaderGroup[] | null = null;
  #closed = false;
  /**
   * The only candidate, if it asks for nothing, as in most places; else -1. Spares three looks into cold memory: with
   * 10 000 routes 0.1 to 0.2 us of 0.5 per match (bench/micro/routes.ts).
   */
  #only = -1;

  /** Candidates come in ascending order. */
  add(candidate: Candidate): void {
    if (this.#closed) return;
    const wanted = candidate.headers?.find((header) => header.value !== null);
    if (wanted?.value != null) this.#addTo(wanted.name, wanted.value, candidate);
    else {
      this.#closed = candidate.methods === null && candidate.listeners === null && candidate.headers === null;
      if (this.#closed && this.#plain.length === 0 && this.#groups === null) this.#only = candidate.order;
      this.#plain.push(candidate);
    }
  }

  #addTo(name: string, value: string, candidate: Candidate): void {
    this.#groups ??= [];
    let group = this.#groups.find((known) => known.name === name);
    if (group === undefined) {
      group = { name, values: new Map() };
      this.#groups.push(group);
    }
    const list = group.values.get(value);
    if (list === undefined) group.values.set(value, [candidate]);
    else list.push(candidate);
  }

  /** The lowest order that passes, if it is below `found`; else `found`. */
  best(facts: RequestFacts, found: number): number {
    if (this.#only >= 0) return Math.min(this.#only, found);
    let best = scan(this.#plain, facts, found);
    const groups = this.#groups;
    if (groups === null) return best;
    for (let i = 0; i < groups.length; i++) {
      const value = facts.header(groups[i]!.name);
      const list = value === undefined ? undefined : groups[i]!.values.get(value);
      if (list !== undefined) best = scan(list, facts, best);
    }
    return best;
  }
}

export function candidateOf(row: RouteRow, order: number, listeners: ListenerSlots): Candidate {
  return {
    order,
    listeners: row.listen.length === 0 ? null : slotsOf(row.listen, listeners),
    methods: row.methods.length === 0 ? null : row.methods,
    headers: row.headers.length === 0 ? null : row.headers,
  };
}

function slotsOf(names: readonly string[], listeners: ListenerSlots): number[] {
  return names.filter((name) => Object.hasOwn(listeners, name)).map((name) => listeners[name]!);
}

function scan(list: readonly Candidate[], facts: RequestFacts, best: number): number {
  for (let i = 0; i < list.length; i++) {
    const candidate = list[i]!;
    if (candidate.order >= best) return best;
    if (passes(candidate, facts)) return candidate.order;
  }
  return best;
}

function passes(candidate: Candidate, facts: RequestFacts): boolean {
  if (candidate.methods !== null && !candidate.methods.includes(facts.method)) return false;
  if (candidate.listeners !== null && !candidate.listeners.includes(facts.listener)) return false;
  if (candidate.headers === null) return true;
  for (let i = 0; i < candidate.headers.length; i++) {
    const wanted = candidate.headers[i]!;
    const value = facts.header(wanted.name);
    if (wanted.value === null ? value === undefined : value !== wanted.value) return false;
  }
  return true;
}
