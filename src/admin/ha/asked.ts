/**
 * Reads the query and the body of a request about the cluster: each named member by its kind, and nothing else, so that
 * a misspelt one does not pass for done. The first thing that is wrong becomes the answer.
 *
 *   const asked = new Asked(query, body)      asked.text('owner'); asked.whole('ttlMs', 30_000); ...
 *   const wrong = asked.wrong()               null: all was read, and all that was sent was asked for
 */
import { parseObject } from '../changes.ts';
import { type ProblemAnswer, printable, shortened } from '../problem.ts';

export class Asked {
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #fromQuery: ReadonlySet<string>;
  readonly #known = new Set<string>();
  #problem: ProblemAnswer | null = null;

  /** `body` null: this request has none. One that is empty counts as `{}`. */
  constructor(query: Readonly<Record<string, string>>, body: string | null) {
    const parsed = body === null || body.trim() === '' ? {} : parseObject(body);
    if (parsed === null) {
      this.#problem = {
        status: 400,
        title: 'Body is not a JSON object',
        detail: 'send an object such as {"value": 1}',
      };
    }
    for (const name of Object.keys(parsed ?? {})) {
      if (Object.hasOwn(query, name)) this.fail(`${shortened(name)} is in the query and in the body`);
    }
    this.#members = { ...parsed, ...query };
    this.#fromQuery = new Set(Object.keys(query));
  }

  has(name: string): boolean {
    this.#known.add(name);
    return Object.hasOwn(this.#members, name);
  }

  any(name: string): unknown {
    return this.has(name) ? this.#members[name] : undefined;
  }

  text(name: string, otherwise?: string): string {
    const value = this.any(name) ?? otherwise;
    if (typeof value === 'string' && (value !== '' || otherwise === '')) return value;
    this.fail(`${name} must be a text that is not empty`);
    return '';
  }

  /** A whole number from 0 on. */
  whole(name: string, otherwise?: number): number {
    const given = this.any(name) ?? otherwise;
    const isDigits = typeof given === 'string' && this.#fromQuery.has(name) && /^\d{1,16}$/.test(given);
    const value = isDigits ? Number(given) : given;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    this.fail(`${name} must be a whole number from 0 on`);
    return 0;
  }

  flag(name: string, otherwise: boolean): boolean {
    const value = this.any(name) ?? otherwise;
    if (value === true || value === 'true') return true;
    if (value !== false && value !== 'false') this.fail(`${name} must be true or false`);
    return false;
  }

  oneOf<T extends string>(name: string, words: readonly T[], otherwise: T): T {
    const value = this.any(name) ?? otherwise;
    const found = words.find((word) => word === value);
    if (found === undefined) this.fail(`${name} must be ${words.join(' or ')}`);
    return found ?? otherwise;
  }

  /** The first problem counts. */
  fail(detail: string): void {
    this.#problem ??= { status: 422, title: 'Not understood', detail };
  }

  wrong(): ProblemAnswer | null {
    const unknown = Object.keys(this.#members).find((name) => !this.#known.has(name));
    if (unknown !== undefined) {
      const known = [...this.#known].map((name) => printable(name, 40)).join(', ');
      this.fail(`${shortened(unknown)} is not known here; there is ${known === '' ? 'nothing to set' : known}`);
    }
    return this.#problem;
  }
}
