/**
 * Problems are collected, never thrown: a file with ten faults gets ten messages at once.
 *
 * The line itself is part of a message, and a line may hold a secret. What follows a `token:` key is therefore starred
 * before anything else sees it, and that of `key:` within cluster; with as many stars as characters, so that the caret still points at the right place.
 */

import type { Problem } from './model.ts';
import { type Mark, type Path, pathText, type Source } from './tree.ts';

/** More than anybody reads; a hostile file could have a million. */
const maxProblems = 200;

export class Problems {
  readonly #source: Source;
  readonly #list: Problem[] = [];
  #errors = 0;
  #left = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  error(place: { readonly mark: Mark; readonly path?: Path }, message: string, hint: string | null = null): void {
    this.#errors++;
    this.#add({ place, message, hint, severity: 'error' });
  }

  warning(place: { readonly mark: Mark; readonly path?: Path }, message: string, hint: string | null = null): void {
    this.#add({ place, message, hint, severity: 'warning' });
  }

  get failed(): boolean {
    return this.#errors > 0;
  }

  /** Nothing but their number is kept from here on: no need to think about a good hint. */
  get full(): boolean {
    return this.#list.length >= maxProblems;
  }

  /** In the order of the file. */
  list(): readonly Problem[] {
    const sorted = this.#list.toSorted((a, b) => a.line - b.line || a.column - b.column);
    const last = sorted.at(-1);
    if (this.#left > 0 && last) {
      sorted.push({ ...last, path: '', message: `and ${this.#left} more problems like these`, hint: null });
    }
    return sorted;
  }

  #add(given: {
    readonly place: { readonly mark: Mark; readonly path?: Path };
    readonly message: string;
    readonly hint: string | null;
    readonly severity: Problem['severity'];
  }): void {
    // A warning must not take an error's place, or a file could be refused without a word why.
    if (this.#list.length >= maxProblems && !(given.severity === 'error' && this.#errors === 1)) {
      this.#left++;
      return;
    }
    const { line, column } = given.place.mark;
    this.#list.push({
      file: this.#source.file,
      line,
      column,
      path: pathText(given.place.path ?? []),
      message: oneLine(given.message),
      hint: given.hint === null ? null : oneLine(given.hint),
      source: starSecrets(this.#source.lines[line - 1] ?? '', given.place.path ?? []),
      severity: given.severity,
    });
  }
}

/** Parts of a message may come from the file. */
const oneLine = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ').slice(0, 1000);

/** `token: abc` becomes `token: ***`; a variable such as `${ADMIN_TOKEN}` tells nothing and stays. */
export function starSecrets(line: string, path: Path = []): string {
  const noToken = starAfter(line, /(^|[\s{,"'-])token["']?\s*(:\s*|=|\s)/);
  const noKey = path[0] === 'cluster' ? starAfter(noToken, /(^|[\s{,"'])key["']?\s*:\s*/) : noToken;
  const noItem = isClusterKey(path) ? starAfter(noKey, /^\s*-\s+/) : noKey;
  // Wherever else a line shows one: what looks like 32 bytes, behind a key or a dash.
  return noItem.replace(
    /((?:^|[\s{,"'[])(?:key["']?\s*:|-)[\s"'[]*)([A-Za-z0-9+/_-]{40,}={0,2})/g,
    (_, before: string, secret: string) => before + '*'.repeat(secret.length),
  );
}

export const isClusterKey = (path: Path): boolean => path[0] === 'cluster' && path[1] === 'key';

function starAfter(line: string, start: RegExp): string {
  const key = start.exec(line);
  if (!key) return line;
  const from = key.index + key[0].length;
  const rest = line.slice(from);
  if (/^["']?\$\{\w+(:\?[^}]*|:-)?\}/.test(rest)) return line;
  const inFlow = line.slice(0, from).includes('{');
  const end = inFlow ? (/^("[^"]*"|'[^']*'|\[[^\]]*|[^,}]*)/.exec(rest)?.[0].length ?? rest.length) : rest.length;
  return line.slice(0, from) + '*'.repeat(end) + rest.slice(end);
}
