/** What is registered about members and nodes: a few named texts each. The last word holds. */
import type { Millis } from '../../base/ids.ts';
import { type ByteReader, type ByteWriter, textBytes } from './bytes.ts';
import type { Command, CommandResult } from './command.ts';
import type { Moment } from './events.ts';
import { type Fact, type RecordKind, type Registered, type ReplicaLimits, recordKinds } from './model.ts';
import { readFacts, writeFacts } from './parts.ts';
import { Table } from './table.ts';

export function writeRegistered(to: ByteWriter, record: Registered): void {
  to.byte(recordKinds.indexOf(record.what)).text(record.id).number(record.at);
  writeFacts(to, record.facts);
}

export function readRegistered(from: ByteReader): Registered {
  const what = from.oneOf(recordKinds);
  const id = from.text();
  const at: Millis = from.number();
  return { what, id, at, facts: readFacts(from) };
}

const placeOf = (what: RecordKind, id: string): string => `${what}/${id}`;
const sizeOf = (facts: readonly Fact[]): number =>
  facts.reduce((sum, [name, value]) => sum + textBytes(name) + textBytes(value), 0);

export class Registry {
  readonly #limits: ReplicaLimits;
  readonly #records = new Table<string, Registered>({ seed: 4, write: writeRegistered });

  constructor(limits: ReplicaLimits) {
    this.#limits = limits;
  }

  get table(): Table<string, Registered> {
    return this.#records;
  }

  get(what: RecordKind, id: string): Registered | null {
    return this.#records.get(placeOf(what, id)) ?? null;
  }

  /** All of a kind, by id. */
  list(what: RecordKind): readonly Registered[] {
    const found = this.#records.capture().filter((record) => record.what === what);
    return found.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  register(command: Extract<Command, { readonly kind: 'register' }>, moment: Moment): CommandResult {
    const { what, id, facts } = command;
    const { nameBytes, recordBytes, records } = this.#limits;
    const idSize = textBytes(id);
    if (idSize > nameBytes) return { kind: 'too-large', what: 'name', size: idSize, max: nameBytes };
    const size = sizeOf(facts);
    if (size > recordBytes) return { kind: 'too-large', what: 'record', size, max: recordBytes };
    if (this.get(what, id) === null && this.#records.size >= records) {
      return { kind: 'full', what: 'records', max: records };
    }
    const record: Registered = { what, id, facts, at: moment.now };
    this.put(record);
    moment.events.push({ kind: 'registered', record });
    return { kind: 'done' };
  }

  unregister(what: RecordKind, id: string, moment: Moment): CommandResult {
    if (this.#records.delete(placeOf(what, id)) === undefined) return { kind: 'absent', what: 'record' };
    moment.events.push({ kind: 'unregistered', what, id });
    return { kind: 'done' };
  }

  put(record: Registered): void {
    this.#records.set(placeOf(record.what, record.id), record);
  }
}
