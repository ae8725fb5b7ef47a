/**
 * Clients that overlap, over the real replica: whatever the delays, whatever is never answered and asked again, what they
 * see is linearizable. And with a fault planted between them and the replica the checker finds it.
 */
import { describe, expect, it } from 'vitest';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import type { Command, CommandResult } from '../../../src/cluster/replica/command.ts';
import { Bench, bytes, text } from '../../cluster/replica/bench.ts';
import { check, describeVerdict } from './checker.ts';
import { type Call, HistoryRecorder } from './history.ts';
import { type KvInput, type KvOutput, kvModel } from './kv-model.ts';
import { type LockInput, type LockOutput, lockModel } from './lock-model.ts';

const seeds = Array.from({ length: 60 }, (_, i) => i + 1);

/** What a client has under way: not applied yet, or applied and not answered yet. */
interface Open<O> {
  readonly client: string;
  readonly call: Call;
  readonly number: number;
  output: O | null;
}

type Fault = 'none' | 'stale-reads' | 'lost-writes' | 'no-dedupe';

function commandOf(input: Exclude<KvInput, { readonly do: 'get' }>): Command {
  const { key } = input;
  if (input.do === 'delete') return { kind: 'delete', key, when: { kind: 'any' } };
  if (input.do === 'set') return { kind: 'set', key, value: bytes(input.value), lease: null, when: { kind: 'any' } };
  const when =
    input.do === 'cas-revision'
      ? ({ kind: 'revision', revision: input.at } as const)
      : input.from === null
        ? ({ kind: 'absent' } as const)
        : ({ kind: 'value', value: bytes(input.from) } as const);
  return { kind: 'set', key, value: bytes(input.to), lease: null, when };
}

function outputOf(result: CommandResult): KvOutput {
  if (result.kind === 'written') return { is: 'written', revision: result.revision };
  if (result.kind === 'conflict') return { is: 'conflict', revision: result.revision };
  if (result.kind !== 'deleted') throw new Error(result.kind);
  return result.revision === null ? { is: 'absent' } : { is: 'written', revision: result.revision };
}

class KvClients {
  readonly recorder = new HistoryRecorder<KvInput, KvOutput>();
  readonly #bench = new Bench();
  readonly #random: Random;
  readonly #fault: Fault;
  readonly #open: (Open<KvOutput> & { readonly input: KvInput })[] = [];
  /** What reads see if they are stale: the state of a while ago. */
  readonly #old = new Map<string, KvOutput>();
  #number = 0;
  #attempts = 0;

  constructor(seed: number, fault: Fault) {
    this.#random = seededRandom(seed);
    this.#fault = fault;
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) {
      if (this.#open.length < 5 && this.#random.below(2) === 0) this.#ask();
      else if (this.#open.length > 0) this.#goOn(this.#random.below(this.#open.length));
    }
  }

  #ask(): void {
    const key = `k${this.#random.below(2)}`;
    const value = String(this.#random.below(3));
    const other = String(this.#random.below(3));
    const revision = this.#bench.replica.kv.get(key)?.revision ?? 1;
    const inputs: readonly KvInput[] = [
      { do: 'get', key },
      { do: 'get', key },
      { do: 'set', key, value },
      { do: 'delete', key },
      { do: 'cas', key, from: this.#random.below(4) === 0 ? null : other, to: value },
      { do: 'cas-revision', key, at: revision, to: value },
    ];
    const input = inputs[this.#random.below(inputs.length)]!;
    this.#number += 1;
    const client = `c${this.#number}`;
    const call = this.recorder.invoke(client, input);
    this.#open.push({ client, call, number: this.#number, output: null, input });
  }

  /** Applies it, or answers it, or applies it again (it was sent twice), or never answers it. */
  #goOn(place: number): void {
    const open = this.#open[place]!;
    if (open.output === null || (open.input.do !== 'get' && this.#random.below(4) === 0)) {
      open.output = this.#apply(open);
      return;
    }
    this.#open.splice(place, 1);
    if (this.#random.below(10) > 0) this.recorder.answered(open.call, open.output);
  }

  #apply({ input, number, output }: Open<KvOutput> & { readonly input: KvInput }): KvOutput {
    if (input.do === 'get') return this.#get(input.key);
    if (this.#fault === 'lost-writes' && output === null && input.do === 'set' && this.#random.below(4) === 0) {
      return { is: 'written', revision: this.#bench.replica.kv.revision.value + 1 };
    }
    const again = this.#fault === 'no-dedupe' && output !== null;
    this.#attempts += 1;
    const from = again ? { uid: `again ${this.#attempts}` } : { uid: 'client', number };
    const result = outputOf(this.#bench.do(commandOf(input), from));
    return output ?? result;
  }

  #get(key: string): KvOutput {
    const entry = this.#bench.replica.kv.get(key);
    const now: KvOutput =
      entry === null ? { is: 'absent' } : { is: 'value', value: text(entry.value)!, revision: entry.revision };
    const stale = this.#fault === 'stale-reads' ? this.#old.get(key) : undefined;
    if (this.#random.below(3) === 0) this.#old.set(key, now);
    return stale ?? now;
  }
}

const kvVerdict = (seed: number, fault: Fault): string => {
  const clients = new KvClients(seed, fault);
  clients.run(250);
  return describeVerdict(check(kvModel, clients.recorder.operations()));
};

describe('keys of the replica', () => {
  it('are linearizable to clients that overlap, repeat themselves and vanish', () => {
    for (const seed of seeds) expect(kvVerdict(seed, 'none'), `seed ${seed}`).toBe('linearizable');
  });

  it.each(['stale-reads', 'lost-writes', 'no-dedupe'] as const)(
    'with the fault %s they are not, and it is seen',
    (fault) => {
      const found = seeds.filter((seed) => kvVerdict(seed, fault).startsWith('not linearizable'));
      expect(found.length).toBeGreaterThan(seeds.length / 2);
    },
  );
});

/**
 * Owners that take, extend, release and lose one lock; answers come late, or never. `twice` plants that a held lock is
 * given away.
 */
class LockClients {
  readonly recorder = new HistoryRecorder<LockInput, LockOutput>();
  readonly #bench = new Bench();
  readonly #random: Random;
  readonly #twice: boolean;
  readonly #unanswered: { readonly call: Call; readonly output: LockOutput }[] = [];
  /** The newest grant. */
  #token = 0;
  #owner = '';
  #expiresAt = Number.POSITIVE_INFINITY;

  constructor(seed: number, twice: boolean) {
    this.#random = seededRandom(seed);
    this.#twice = twice;
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) {
      this.#pass();
      const chance = this.#unanswered.length < 4 ? this.#random.below(6) : 5;
      if (chance < 2) this.#acquire(`o${this.#random.below(3)}`);
      else if (chance === 2) this.#end('release');
      else if (chance === 3) this.#end('extend');
      else this.#answer();
    }
  }

  #pass(): void {
    this.#bench.pass(this.#random.below(30));
    if (this.#bench.now < this.#expiresAt) return;
    this.recorder.invoke('time', { do: 'lost', lock: 'l', owner: this.#owner, token: this.#token });
    this.#expiresAt = Number.POSITIVE_INFINITY;
  }

  #acquire(owner: string): void {
    const call = this.recorder.invoke(owner, { do: 'acquire', lock: 'l', owner });
    const result = this.#bench.acquire('l', owner, { ttlMs: 40, waitMs: 0, delayMs: 20 });
    if (result.kind === 'acquired') {
      this.#token = result.token;
      this.#owner = owner;
      this.#expiresAt = result.expiresAt;
    }
    const stolen = this.#twice && result.kind === 'busy' && result.owner !== null;
    const token = stolen ? this.#token + 1000 : this.#token;
    const held = stolen || result.kind === 'acquired';
    this.#unanswered.push({ call, output: held ? { is: 'held', token } : { is: 'busy' } });
  }

  #end(kind: 'release' | 'extend'): void {
    const token = this.#token;
    const call = this.recorder.invoke('holder', { do: kind, lock: 'l', token });
    const result = this.#bench.do(
      kind === 'extend' ? { kind, name: 'l', token, ttlMs: 40 } : { kind, name: 'l', token },
    );
    if (result.kind === 'extended') this.#expiresAt = result.expiresAt;
    this.#unanswered.push({ call, output: { is: result.kind === 'absent' ? 'absent' : 'done' } });
  }

  #answer(): void {
    const [open] = this.#unanswered.splice(this.#random.below(this.#unanswered.length), 1);
    if (open !== undefined && this.#random.below(10) > 0) this.recorder.answered(open.call, open.output);
  }
}

const lockVerdict = (seed: number, twice: boolean): string => {
  const clients = new LockClients(seed, twice);
  clients.run(200);
  return describeVerdict(check(lockModel({ patient: false }), clients.recorder.operations()));
};

describe('locks of the replica', () => {
  it('are linearizable, losses included', () => {
    for (const seed of seeds) expect(lockVerdict(seed, false), `seed ${seed}`).toBe('linearizable');
  });

  it('a lock that is given to two is seen', () => {
    const found = seeds.filter((seed) => lockVerdict(seed, true).startsWith('not linearizable'));
    expect(found.length).toBeGreaterThan(seeds.length / 2);
  });
});
