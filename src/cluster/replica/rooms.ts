/**
 * The rooms of the contract (kv, lease, lock, records, history) over an engine that can only do two things: put a command
 * through the log, and say how fresh this member's state is. So all that agree by a log of their own answer alike.
 */
import type { Millis } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import type {
  Answer,
  Consistency,
  CoordinatorError,
  Freshness,
  Held,
  KvRoom,
  LeaseRoom,
  LockRoom,
  LockTerms,
  Read,
  ReadOptions,
  Ticket,
  WriteOptions,
  Written,
} from '../coordinator.ts';
import type { Command, CommandResult } from './command.ts';
import type { Hub } from './hub.ts';
import type { Replica } from './replica.ts';

export interface Engine {
  /** The state as this member has it. Another object after a snapshot was installed. */
  readonly replica: Replica;
  readonly hub: Hub;
  propose(command: Command, options: WriteOptions): Answer<Written<CommandResult>>;
  /** Answers when `replica` may be read with this consistency. */
  ready(consistency: Consistency): Answer<Freshness>;
  /** Calls after so long, unless what it returns is called before. Absent: whoever waits here always hears the end. */
  after?(ms: Millis, call: () => void): () => void;
}

const lockDelayMs = 15_000;
/** Who waited for a lock hears within so long how that ended; clocks may differ by a hundredth. */
const lateMs: Millis = 5000;
const driftShare = 0.01;
const pageMax = 1000;

/** Reads the state as soon as it is fresh enough. */
export function read<T>(
  engine: Engine,
  options: ReadOptions | undefined,
  look: (replica: Replica) => Result<T, CoordinatorError>,
): Answer<Read<T>> {
  return engine.ready(options?.consistency ?? 'quorum').then((fresh) => {
    if (!fresh.ok) return fresh;
    const { replica } = engine;
    const looked = look(replica);
    if (!looked.ok) return looked;
    const revision = replica.kv.revision.value;
    return ok({ value: looked.value, revision, index: replica.index, freshness: fresh.value });
  });
}

/** Puts a command through and takes what its own kind of result says. */
function write<K extends CommandResult['kind'], T>(
  engine: Engine,
  asked: { readonly command: Command; readonly options?: WriteOptions | undefined },
  expect: { readonly kind: K; readonly take: (result: Extract<CommandResult, { readonly kind: K }>) => T },
): Answer<Written<T>> {
  return engine.propose(asked.command, asked.options ?? {}).then((answer) => {
    if (!answer.ok || !answer.value.committed) return answer as Result<Written<T>, CoordinatorError>;
    const { value, index, ticket } = answer.value;
    if (value.kind !== expect.kind) return err({ kind: 'invalid', what: 'the ticket is of another kind of write' });
    const taken = expect.take(value as Extract<CommandResult, { readonly kind: K }>);
    return ok({ committed: true, value: taken, index, ticket });
  });
}

/** As `write`, for what is never eventual: the value alone. */
function agree<K extends CommandResult['kind'], T>(
  engine: Engine,
  command: Command,
  expect: { readonly kind: K; readonly take: (result: Extract<CommandResult, { readonly kind: K }>) => T },
): Answer<T> {
  return write(engine, { command }, expect).then((answer) => {
    if (!answer.ok) return answer;
    return answer.value.committed ? ok(answer.value.value) : err({ kind: 'not-eventual' });
  });
}

export function kvRoom(engine: Engine): KvRoom {
  return {
    get: (key, options) =>
      read(engine, options, ({ kv }) => {
        if (options?.at === undefined) return ok(kv.get(key));
        const past = kv.getAt(key, options.at);
        return past.kind === 'entry' ? ok(past.entry) : err(past);
      }),
    list: (prefix, options) =>
      read(engine, options, ({ kv }) => {
        const max = Math.min(Math.max(1, Math.floor(options?.max ?? pageMax)), 10 * pageMax);
        return ok(kv.list({ prefix, after: options?.after ?? null, max }));
      }),
    set: (key, value, options) => {
      const { when = { kind: 'any' }, lease = null } = options ?? {};
      const command: Command = { kind: 'set', key, value, lease, when };
      return write(engine, { command, options }, { kind: 'written', take: (result) => result.revision });
    },
    delete: (key, options) => {
      const command: Command = { kind: 'delete', key, when: options?.when ?? { kind: 'any' } };
      return write(engine, { command, options }, { kind: 'deleted', take: (result) => result.revision });
    },
  };
}

export function leaseRoom(engine: Engine): LeaseRoom {
  return {
    grant: (ttlMs) =>
      agree(
        engine,
        { kind: 'grant', ttlMs },
        { kind: 'granted', take: ({ lease, expiresAt }) => ({ lease, expiresAt }) },
      ),
    keepAlive: (lease) =>
      agree(engine, { kind: 'keep-alive', lease }, { kind: 'extended', take: ({ expiresAt }) => ({ expiresAt }) }),
    revoke: (lease) => agree(engine, { kind: 'revoke', lease }, isDone),
  };
}

const isDone = { kind: 'done', take: () => true as const } as const;

export function lockRoom(engine: Engine): LockRoom {
  const withdraw: LockRoom['withdraw'] = (name, owner) => agree(engine, { kind: 'withdraw', name, owner }, isDone);
  return {
    withdraw,
    acquire: (name, terms) => acquire(engine, name, terms),
    extend: ({ name, token }, ttlMs) =>
      agree(
        engine,
        { kind: 'extend', name, token, ttlMs },
        { kind: 'extended', take: ({ expiresAt }) => ({ expiresAt }) },
      ),
    release: ({ name, token }) => agree(engine, { kind: 'release', name, token }, isDone),
    get: (name, options) => read(engine, options, ({ locks }) => ok(locks.get(name))),
  };
}

function acquire(engine: Engine, name: string, terms: LockTerms): Answer<Held> {
  const { owner, ttlMs, waitMs = 0, delayMs = lockDelayMs, signal } = terms;
  if (signal?.aborted) return Promise.resolve(err({ kind: 'withdrawn' }));
  const command: Command = { kind: 'acquire', name, owner, ttlMs, waitMs, delayMs };
  return engine.propose(command, {}).then((answer) => {
    if (!answer.ok) return answer;
    if (!answer.value.committed) return err({ kind: 'unsupported' });
    const { value: result, ticket } = answer.value;
    if (result.kind === 'acquired') return ok({ name, owner, token: result.token, expiresAt: result.expiresAt });
    if (result.kind !== 'waiting') return err({ kind: 'unsupported' });
    return waitFor(engine, { name, owner, signal, ticket, endsMs: waitMs * (1 + driftShare) + lateMs });
  });
}

/**
 * The owner stands in the queue. Whoever gives up stops listening first, so that a late grant goes to nobody. A member that
 * is cut off does not hear how it ended.
 */
function waitFor(
  engine: Engine,
  wait: {
    readonly name: string;
    readonly owner: string;
    readonly signal: AbortSignal | undefined;
    readonly ticket: Ticket;
    readonly endsMs: Millis;
  },
): Answer<Held> {
  const { name, owner, signal, ticket, endsMs } = wait;
  return new Promise((resolve) => {
    let stop = (): void => {};
    let settled = (): void => {};
    const giveUp = (): void => {
      stop();
      settled();
      const withdrawn = engine.propose({ kind: 'withdraw', name, owner }, {});
      void withdrawn.then(() => resolve(err({ kind: 'withdrawn' })));
    };
    const done = (outcome: Result<Held, CoordinatorError>): void => {
      signal?.removeEventListener('abort', giveUp);
      settled();
      resolve(outcome);
    };
    const unheard = (): void => {
      stop();
      done(err({ kind: 'unknown-outcome', ticket }));
    };
    settled = engine.after?.(endsMs, unheard) ?? settled;
    signal?.addEventListener('abort', giveUp, { once: true });
    stop = engine.hub.awaitLock(engine.replica, { name, owner, done });
    if (signal?.aborted) giveUp();
  });
}
