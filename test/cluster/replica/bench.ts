/** A replica with a log of its own, a clock that tests move, and proposals that number themselves. */
import { encodeProposal } from '../../../src/cluster/replica/codec.ts';
import type { Command, CommandResult } from '../../../src/cluster/replica/command.ts';
import type { ReplicaEvent } from '../../../src/cluster/replica/events.ts';
import type { ReplicaLimits } from '../../../src/cluster/replica/model.ts';
import { defaultLimits } from '../../../src/cluster/replica/model.ts';
import { type Applied, Replica, type ReplicaEntry } from '../../../src/cluster/replica/replica.ts';

export const wall = 1_800_000_000_000;
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);

export interface From {
  readonly uid?: string;
  readonly boot?: number;
  readonly number?: number;
}

export class Bench {
  replica: Replica;
  now = wall;
  readonly log: ReplicaEntry[] = [];
  #number = 0;

  constructor(limits: Partial<ReplicaLimits> = {}) {
    this.replica = new Replica({ ...defaultLimits, ...limits });
  }

  apply(command: Command, from: From = {}): Applied {
    this.#number += 1;
    const proposer = { uid: 'a', boot: 1, number: this.#number, ...from };
    return this.append(encodeProposal({ proposer, at: this.now, command }));
  }

  append(data: Uint8Array | null): Applied {
    const entry = { index: this.replica.index + 1, term: 1, data };
    this.log.push(entry);
    return this.replica.apply(entry);
  }

  do(command: Command, from: From = {}): CommandResult {
    return this.apply(command, from).result;
  }

  events(command: Command): readonly ReplicaEvent[] {
    return this.apply(command).events;
  }

  set(key: string, value: string, more: Partial<Extract<Command, { kind: 'set' }>> = {}): CommandResult {
    return this.do({ kind: 'set', key, value: bytes(value), lease: null, when: { kind: 'any' }, ...more });
  }

  get(key: string): string | undefined {
    return text(this.replica.kv.get(key)?.value);
  }

  acquire(name: string, owner: string, more: Partial<Extract<Command, { kind: 'acquire' }>> = {}): CommandResult {
    return this.do({ kind: 'acquire', name, owner, ttlMs: 10_000, waitMs: 60_000, delayMs: 0, ...more });
  }

  holder(name: string): string | undefined {
    return this.replica.locks.get(name)?.holder?.owner;
  }

  /** Time passes, and what has run out ends. */
  pass(ms: number): readonly ReplicaEvent[] {
    this.now += ms;
    return this.events({ kind: 'expire' });
  }
}

/** The same entries applied to a new state. */
export function replay(log: readonly ReplicaEntry[], limits: Partial<ReplicaLimits> = {}): Replica {
  const replica = new Replica({ ...defaultLimits, ...limits });
  for (const entry of log) replica.apply(entry);
  return replica;
}
