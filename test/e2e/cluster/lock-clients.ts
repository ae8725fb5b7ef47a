/**
 * Clients of locks, beside those of keys: acquire, rely on it while its time runs, extend, release.
 *
 * Judged twice: as a history (each grant may be lost from when its time has run out, never before), and directly: tokens
 * grow with each grant, and from a grant's answer until its time runs out nobody else is told to be a holder.
 */
import { pause } from '../../helpers/poll.ts';
import { check, describeVerdict } from '../../sim/linearizability/checker.ts';
import { type LockInput, type LockOutput, lockModel } from '../../sim/linearizability/lock-model.ts';
import type { Api, Reply } from './api.ts';
import { History } from './history.ts';
import { kept, patience, wasRefused } from './outcome.ts';

/** Leaders' clocks may run apart by so much. */
const drift = 0.97;
const locksAtATime = 2;
const eraMs = 8000;

export interface Holding {
  readonly lock: string;
  readonly owner: string;
  readonly token: number;
  /** The request left, the answer was there. */
  readonly askedAt: number;
  readonly heldAt: number;
  /** The holder relies on it until then. */
  until: number;
}

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!;

export class LockClients {
  readonly #apis: readonly Api[];
  readonly #thinkMs: number;
  readonly #history = new History<LockInput, LockOutput>();
  readonly #holdings: Holding[] = [];
  readonly #counts = { extended: 0, released: 0, busy: 0, unknown: 0 };
  readonly #running: Promise<void>[] = [];
  #stopping = false;

  constructor(apis: readonly Api[], options: { readonly clients: number; readonly thinkMs: number }) {
    this.#apis = apis;
    this.#thinkMs = options.thinkMs;
    for (let i = 0; i < options.clients; i++) this.#running.push(kept(this.#client(i + 1)));
  }

  async finish(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  get grants(): number {
    return this.#holdings.length;
  }

  summary(): string {
    const { extended, released, busy, unknown } = this.#counts;
    return `${this.#holdings.length} grants, ${extended} extensions, ${released} releases, ${busy} busy, ${unknown} unknown`;
  }

  problems(): readonly string[] {
    const verdict = check(lockModel({ patient: false }), this.#history.operations());
    const history = verdict.kind === 'linearizable' ? [] : [describeVerdict(verdict)];
    return [...history, ...problemsOf(this.#holdings)];
  }

  async #client(number: number): Promise<void> {
    for (let i = 0; !this.#stopping; i++) {
      await pause(this.#thinkMs * 2 * Math.random());
      const lock = `l${Math.floor(performance.now() / eraMs)}-${Math.floor(Math.random() * locksAtATime)}`;
      const holding = await this.#acquire(lock, `o${number}.${i}`);
      if (holding !== null) await this.#hold(holding);
    }
  }

  async #acquire(lock: string, owner: string): Promise<Holding | null> {
    const input = { do: 'acquire', lock, owner } as const;
    const asked = { client: owner, input, call: this.#history.now() };
    const ttlMs = 500 + Math.floor(Math.random() * 2500);
    const delayMs = Math.random() < 0.5 ? 0 : 300;
    const reply = await pick(this.#apis).ask(pathOf(lock), {
      method: 'POST',
      body: { owner, ttlMs, delayMs },
      withinMs: patience(),
    });
    const until = asked.call + ttlMs * drift;
    if (reply.status === 200) {
      const token = Number(reply.body['token']);
      this.#history.answered(asked, { is: 'held', token });
      const holding = { lock, owner, token, until, askedAt: asked.call, heldAt: this.#history.now() };
      this.#holdings.push(holding);
      return holding;
    }
    if (reply.status === 409) {
      this.#counts.busy += 1;
      this.#history.answered(asked, { is: 'busy' });
    } else if (!wasRefused(reply)) {
      this.#counts.unknown += 1;
      this.#history.unknown(asked);
      this.#mayBeLost({ lock, owner, token: null, until });
    }
    return null;
  }

  /** Extends it now and then, and releases it or lets it run out. */
  async #hold(holding: Holding): Promise<void> {
    const patience = Math.floor(Math.random() * 4);
    for (let i = 0; i < patience && !this.#stopping; i++) {
      await pause(Math.random() * 400);
      if (performance.now() >= holding.until) break;
      await this.#extend(holding);
    }
    if (Math.random() < 0.7) await this.#release(holding);
    this.#mayBeLost(holding);
  }

  async #extend(holding: Holding): Promise<void> {
    const { lock, token, owner } = holding;
    const ttlMs = 500 + Math.floor(Math.random() * 2500);
    const input = { do: 'extend', lock, token } as const;
    const asked = { client: owner, input, call: this.#history.now() };
    const until = asked.call + ttlMs * drift;
    const reply = await pick(this.#apis).ask(pathOf(lock), {
      method: 'PUT',
      body: { token, ttlMs },
      withinMs: patience(),
    });
    const known = this.#note(asked, reply);
    // What is not known to have come about may have: the shorter time counts.
    if (known === 'done') holding.until = until;
    else holding.until = Math.min(holding.until, until);
    if (known === 'done') this.#counts.extended += 1;
  }

  async #release(holding: Holding): Promise<void> {
    const { lock, token, owner } = holding;
    const input = { do: 'release', lock, token } as const;
    const asked = { client: owner, input, call: this.#history.now() };
    holding.until = Math.min(holding.until, asked.call);
    const reply = await pick(this.#apis).ask(`${pathOf(lock)}?token=${token}`, {
      method: 'DELETE',
      withinMs: patience(),
    });
    if (this.#note(asked, reply) === 'done') this.#counts.released += 1;
  }

  #note(
    asked: { readonly client: string; readonly input: LockInput; readonly call: number },
    reply: Reply,
  ): 'done' | 'absent' | null {
    const is = reply.status === 200 ? 'done' : reply.status === 404 ? 'absent' : null;
    if (is !== null) this.#history.answered(asked, { is });
    else if (!wasRefused(reply)) {
      this.#counts.unknown += 1;
      this.#history.unknown(asked);
    }
    return is;
  }

  #mayBeLost({
    lock,
    owner,
    token,
    until,
  }: Pick<Holding, 'lock' | 'owner' | 'until'> & { token: number | null }): void {
    this.#history.unknown({ client: 'time', input: { do: 'lost', lock, owner, token }, call: until });
  }
}

const pathOf = (lock: string): string => `/api/ha/locks/${lock}`;

/** Tokens that do not grow, and holders at one time. */
export function problemsOf(holdings: readonly Holding[]): readonly string[] {
  const problems: string[] = [];
  for (const ofOne of Map.groupBy(holdings, ({ lock }) => lock).values()) {
    for (const a of ofOne) {
      for (const b of ofOne) {
        if (a.token >= b.token && a !== b && a.heldAt < b.askedAt)
          problems.push(`a token that does not grow: ${both(a, b)}`);
        const together = a.token < b.token && a.until > b.heldAt && b.until > b.heldAt;
        if (together) problems.push(`two holders at one time: ${both(a, b)}`);
      }
    }
  }
  return problems;
}

const both = (a: Holding, b: Holding): string => `${JSON.stringify(a)} and ${JSON.stringify(b)}`;
