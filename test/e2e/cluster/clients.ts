/**
 * Clients as Jepsen has them: each asks members at random, over their admin API, for reads, writes, compare-and-swaps and
 * locks, and writes down what became of it. Whatever was done to the members meanwhile, the history must be one that a
 * single store could have given (test/sim/linearizability).
 *
 *   200, 404, 409   an answer                      503 no-quorum, overloaded; connection refused: it had no effect
 *   504, no answer  it may have had, now or later: asked again with its ticket, or left unknown
 *
 * Keys and locks change their names with time, so that no history of one of them grows long.
 */
import { pause } from '../../helpers/poll.ts';
import { check, describeVerdict } from '../../sim/linearizability/checker.ts';
import { type KvInput, type KvOutput, kvModel } from '../../sim/linearizability/kv-model.ts';
import { type Answer, Api, type Reply } from './api.ts';
import { History } from './history.ts';
import { LockClients } from './lock-clients.ts';
import { kept, patience, wasRefused } from './outcome.ts';
import type { Processes } from './processes.ts';

export interface Counts {
  answered: number;
  refused: number;
  unknown: number;
  /** Unknown at first, and known after it was asked again with its ticket. */
  settled: number;
}

export interface ClientsOptions {
  /** Of keys; half as many more are for locks. Default 6. */
  readonly clients?: number;
  /** Mean pause between two operations of one client, ms. Default 25. */
  readonly thinkMs?: number;
}

const keysAtATime = 3;
/** Keys live for so long. */
const eraMs = 4000;

type Write = Exclude<KvInput, { readonly do: 'get' }>;
interface Seen {
  readonly value: string | null;
  readonly revision: number | null;
}

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!;
const oftenEnough = (share: number): boolean => Math.random() < share;

/** What a key operation was answered with; null: nothing that says what became of it. */
function outputOf(input: KvInput, { status, body }: Answer): KvOutput | null {
  const { revision, reason, value } = body as { revision?: number | null; reason?: string; value?: unknown };
  if (status === 200 && input.do === 'get') return { is: 'value', value: String(value), revision: revision! };
  if (status === 200) return revision === null ? { is: 'absent' } : { is: 'written', revision: revision! };
  if (status === 404 && reason === 'absent') return { is: 'absent' };
  return status === 409 && reason === 'conflict' ? { is: 'conflict', revision: revision ?? null } : null;
}

export class Clients {
  readonly counts: Counts = { answered: 0, refused: 0, unknown: 0, settled: 0 };
  readonly locks: LockClients;
  readonly #history = new History<KvInput, KvOutput>();
  readonly #apis: readonly Api[];
  readonly #thinkMs: number;
  readonly #running: Promise<void>[] = [];
  #stopping = false;
  #value = 0;

  constructor(members: Pick<Processes, 'seats'>, { clients = 6, thinkMs = 25 }: ClientsOptions = {}) {
    this.#apis = members.seats.map((seat) => new Api(seat));
    this.#thinkMs = thinkMs;
    for (let i = 0; i < clients; i++) this.#running.push(kept(this.#client(i + 1)));
    this.locks = new LockClients(this.#apis, { clients: Math.ceil(clients / 2), thinkMs: thinkMs * 2 });
  }

  /** Each ends the operation it is at. Then the histories are complete. */
  async finish(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#running, this.locks.finish()]);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#apis.map((api) => api.stop()));
    await this.finish();
  }

  /** What is wrong with what the clients saw; empty if nothing is. */
  problems(): readonly string[] {
    const verdict = check(kvModel, this.#history.operations());
    const keys = verdict.kind === 'linearizable' ? [] : [describeVerdict(verdict)];
    return [...keys, ...this.locks.problems()];
  }

  /** Counts as one line, for whoever reads a test's output. */
  summary(): string {
    const { answered, refused, unknown, settled } = this.counts;
    return `${answered} answered, ${refused} refused, ${unknown} unknown, ${settled} of those settled by their tickets; locks: ${this.locks.summary()}`;
  }

  async #client(number: number): Promise<void> {
    const seen = new Map<string, Seen>();
    for (let i = 0; !this.#stopping; i++) {
      await pause(this.#thinkMs * 2 * Math.random());
      const key = `k${Math.floor(performance.now() / eraMs)}-${Math.floor(Math.random() * keysAtATime)}`;
      const input = this.#choose(key, seen.get(key));
      const output = await this.#do(`c${number}.${i}`, input);
      if (output === null || output.is === 'conflict') seen.delete(key);
      else seen.set(key, seenOf(input, output));
    }
  }

  #choose(key: string, seen: Seen | undefined): KvInput {
    const dice = Math.random();
    if (dice < 0.4) return { do: 'get', key };
    this.#value += 1;
    const value = `v${this.#value}`;
    if (dice < 0.6 || seen === undefined) return { do: 'set', key, value };
    if (dice < 0.68) return { do: 'delete', key };
    if (dice < 0.84 || seen.revision === null) return { do: 'cas', key, from: seen.value, to: value };
    return { do: 'cas-revision', key, at: seen.revision, to: value };
  }

  async #do(client: string, input: KvInput): Promise<KvOutput | null> {
    const api = pick(this.#apis);
    const asked = { client, input, call: this.#history.now() };
    const reply = await send(api, input);
    const settled =
      reply.got && reply.status === 504 && oftenEnough(0.7) ? await this.#settle(api, input, reply) : null;
    const output = settled ?? (reply.got ? outputOf(input, reply) : null);
    if (output !== null) {
      this.counts.answered += 1;
      this.#history.answered(asked, output);
    } else if (wasRefused(reply)) this.counts.refused += 1;
    else {
      this.counts.unknown += 1;
      // A read that nobody saw tells nothing.
      if (input.do !== 'get') this.#history.unknown(asked);
    }
    return output;
  }

  /** The same write again, at the same member, with its ticket: made once at most, so its answer is that of the first. */
  async #settle(api: Api, input: KvInput, { body }: Answer): Promise<KvOutput | null> {
    for (let i = 0; i < 3; i++) {
      const again = await send(api, input, String(body['ticket']));
      const output = again.got ? outputOf(input, again) : null;
      if (output === null) continue;
      this.counts.settled += 1;
      return output;
    }
    return null;
  }
}

function seenOf(input: KvInput, output: Exclude<KvOutput, { readonly is: 'conflict' }>): Seen {
  if (output.is === 'absent' || input.do === 'delete') return { value: null, revision: null };
  if (output.is === 'value') return { value: output.value, revision: output.revision };
  const value = input.do === 'get' ? null : input.do === 'set' ? input.value : input.to;
  return { value, revision: output.revision };
}

function send(api: Api, input: KvInput, ticket?: string): Promise<Reply> {
  const consistency = oftenEnough(0.2) ? 'strong' : 'quorum';
  const withinMs = patience();
  const path = `/api/ha/state/${input.key}`;
  if (input.do === 'get') return api.ask(`${path}?consistency=${consistency}`, { withinMs });
  const [method, suffix, body] = wordsOf(input);
  const query = `consistency=${consistency}${ticket === undefined ? '' : `&ticket=${encodeURIComponent(ticket)}`}`;
  return api.ask(`${path}${suffix}?${query}`, { method, withinMs, ...(body && { body }) });
}

function wordsOf(input: Write): readonly ['PUT' | 'POST' | 'DELETE', string, object | null] {
  switch (input.do) {
    case 'set':
      return ['PUT', '', { value: input.value }];
    case 'delete':
      return ['DELETE', '', null];
    case 'cas':
      return ['POST', '/cas', { value: input.to, expected: input.from }];
    case 'cas-revision':
      return ['POST', '/cas', { value: input.to, revision: input.at }];
  }
}
