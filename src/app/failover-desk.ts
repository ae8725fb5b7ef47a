/**
 * What operators ask of failover, on any member: done here if this member leads, else by the one that does.
 *
 *   here --{ ask, command }--> leader --{ answer, result }--> here
 *
 * Words may be lost, so the question is said again until it is answered, or nobody has led for longer than an election
 * takes; the leader does it once, and keeps the answer for a while. What comes from members may be anything: what is no question or no answer is dropped.
 */
import type { MemberId, Millis } from '../base/ids.ts';
import type { CommandAnswer, FailoverCommand } from '../cluster/failover/contract.ts';
import { commandIn, isAnswer, tellable } from './failover-words.ts';

export interface DeskParts {
  /** Does it here. */
  command(command: FailoverCommand): Promise<CommandAnswer>;
  tell(to: MemberId, bytes: Uint8Array): void;
  /** The leader's uid as far as it is known, null if there is none. */
  leader(): MemberId | null;
}

const againEvery: Millis = 500;
/** So many times in a row nobody led: longer than an election takes. */
const leaderlessMost = 10;
/** Longer than the leader takes for any of it. */
const answerWithin: Millis = 125_000;
/** Questions that are known for when they are said again: those that are being done, and the newest answers. */
const keptMost = 512;

interface Pending {
  readonly done: (answer: CommandAnswer) => void;
  readonly again: NodeJS.Timeout;
  readonly late: NodeJS.Timeout;
}

export class FailoverDesk {
  readonly #parts: DeskParts;
  readonly #pending = new Map<number, Pending>();
  /** By who asked and its number: the answer, or null while it is being done. */
  readonly #done = new Map<string, CommandAnswer | null>();
  // Two runs of a process must not give a question the same number.
  #ask = Math.floor(performance.timeOrigin);

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  async command(command: FailoverCommand): Promise<CommandAnswer> {
    const here = await this.#parts.command(command);
    if (here.ok || here.error.kind !== 'not-leader') return here;
    return commandIn(command) === null ? tooLong : this.#forward(command, here);
  }

  told(from: MemberId, bytes: Uint8Array): void {
    const word = parse(bytes);
    if (word === null) return;
    const { ask, answer } = word;
    if (typeof ask === 'number') {
      const command = commandIn(word['command']);
      if (command !== null) this.#asked(from, ask, command);
    } else if (typeof answer === 'number' && isAnswer(word['result'])) this.#settle(answer, word['result']);
  }

  close(): void {
    for (const id of [...this.#pending.keys()])
      this.#settle(id, { ok: false, error: { kind: 'failed', why: 'this process ends' } });
  }

  #forward(command: FailoverCommand, unasked: CommandAnswer): Promise<CommandAnswer> {
    this.#ask += 1;
    const id = this.#ask;
    let leaderless = 0;
    return new Promise((resolve) => {
      const say = (): void => {
        const leader = this.#parts.leader();
        leaderless = leader === null ? leaderless + 1 : 0;
        if (leader !== null) this.#parts.tell(leader, encode({ ask: id, command }));
        else if (leaderless > leaderlessMost) this.#settle(id, noQuorum);
      };
      this.#pending.set(id, {
        done: resolve,
        again: setInterval(say, againEvery),
        late: setTimeout(() => this.#settle(id, unasked), answerWithin),
      });
      say();
    });
  }

  #settle(id: number, answer: CommandAnswer): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    clearInterval(pending.again);
    clearTimeout(pending.late);
    pending.done(answer);
  }

  #asked(from: MemberId, ask: number, command: FailoverCommand): void {
    const name = `${from} ${ask}`;
    const known = this.#done.get(name);
    if (known !== undefined) {
      if (known !== null) this.#parts.tell(from, encode({ answer: ask, result: known }));
      return;
    }
    // Said again, it may find room then.
    if (!this.#keep(name, null)) return;
    void this.#parts.command(command).then((answer) => {
      // Whoever leads now is asked by the next of the words.
      if (!answer.ok && answer.error.kind === 'not-leader') return void this.#done.delete(name);
      const result = tellable(answer);
      this.#keep(name, result);
      this.#parts.tell(from, encode({ answer: ask, result }));
    });
  }

  /** false: no room. What is being done is never forgotten: said again it would be done twice. */
  #keep(name: string, answer: CommandAnswer | null): boolean {
    this.#done.delete(name);
    for (const [oldest, known] of this.#done) {
      if (this.#done.size < keptMost) break;
      if (known !== null) this.#done.delete(oldest);
    }
    if (answer === null && this.#done.size >= keptMost) return false;
    this.#done.set(name, answer);
    return true;
  }
}

const tooLong: CommandAnswer = {
  ok: false,
  error: { kind: 'failed', why: 'no pool, node or member has a name so long' },
};
const noQuorum: CommandAnswer = { ok: false, error: { kind: 'no-quorum', missing: [] } };

const encode = (value: object): Uint8Array => Buffer.from(JSON.stringify(value));

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}
