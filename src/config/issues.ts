/**
 * What zod found -> problems in the words of somebody who writes YAML: places, hints, no types of JavaScript.
 *
 * Of a union (`a string or a map`) only the branch is told that the value was meant for: the one whose kind it has.
 */
import type * as z from 'zod';
import { didYouMean } from '../base/words.ts';
import { isClusterKey, type Problems } from './problems.ts';
import { notYet, synonyms } from './schema.ts';
import { at, keyMark, markAt, type Path, type Tree } from './tree.ts';

type Issue = z.core.$ZodIssue;

/** A plain issue with its whole path: unions are resolved, keys of records are issues of their own. */
export interface FlatIssue {
  readonly path: Path;
  readonly issue: Issue;
  /** For a union that no branch of which takes such a kind of value. */
  readonly kinds?: readonly Issue[];
}

export function flatten(issues: readonly Issue[], base: Path, tree: Tree): FlatIssue[] {
  return issues.flatMap((issue): FlatIssue[] => {
    const path = [...base, ...(issue.path as Path)];
    if (issue.code !== 'invalid_union') return [{ path, issue }];
    const branches = issue.errors.map((branch) => flatten(branch, path, tree));
    const apt = branches.filter((branch) => !branch.some((one) => isWrongKind(one, path, tree)));
    // Two branches of one kind (a word of a list, or a duration): the one that says more than "not my word".
    const best = apt.find((branch) => branch.every((one) => one.issue.code !== 'invalid_value')) ?? apt[0];
    if (best && !(best[0]?.path.length === path.length && isBareWord(best, apt, branches))) return best;
    return [
      {
        path,
        issue,
        kinds: branches
          .flat()
          .filter((one) => one.path.length === path.length)
          .map((one) => one.issue),
      },
    ];
  });
}

/** Of `auto` or a number, `off` or a map, no word but that one is right: then it helps more to name all kinds. */
function isBareWord(best: readonly FlatIssue[], apt: readonly unknown[], branches: readonly unknown[]): boolean {
  const issue = best[0]?.issue;
  return issue?.code === 'invalid_value' && issue.values.length <= 2 && apt.length < branches.length;
}

/** The branch expects another kind of value than the one that is there. */
function isWrongKind({ path: found, issue, kinds }: FlatIssue, path: Path, tree: Tree): boolean {
  if (found.length !== path.length) return false;
  if (kinds) return true;
  const here = at(tree, path);
  if (issue.code === 'invalid_type') {
    return !(issue.expected === 'int' && here?.kind === 'scalar' && typeof here.value === 'number');
  }
  if (issue.code !== 'invalid_value' || here === null) return false;
  return here.kind !== 'scalar' || !issue.values.some((value) => typeof value === typeof here.value);
}

export function report(issues: readonly FlatIssue[], tree: Tree, problems: Problems): void {
  for (const flat of issues) {
    if (isBroken(tree, flat.path)) continue;
    if (flat.issue.code === 'unrecognized_keys') unknownKeys(flat, tree, problems);
    else if (flat.issue.code === 'invalid_key') invalidKey(flat, tree, problems);
    else plainIssue(flat, tree, problems);
  }
}

function isBroken(tree: Tree, path: Path): boolean {
  return path.some((_, depth) => {
    const here = at(tree, path.slice(0, depth + 1));
    return here?.kind === 'scalar' && here.broken === true;
  });
}

function unknownKeys({ path, issue }: FlatIssue, tree: Tree, problems: Problems): void {
  if (issue.code !== 'unrecognized_keys') return;
  const known = issue.message.split(' ');
  for (const key of issue.keys) unknownKey([...path, key], known, tree, problems);
}

export function unknownKey(path: Path, known: readonly string[], tree: Tree, problems: Problems): void {
  const key = String(path[path.length - 1]);
  const place = { mark: keyMark(tree, path), path };
  const where = path.length === 1 ? 'at the top level' : 'here';
  const synonym = synonyms[key];
  if (problems.full) problems.error(place, clip(key));
  else if (notYet.has(key)) problems.error(place, `${key} is not available in this version`, 'remove it');
  else {
    const guess = synonym !== undefined && known.includes(synonym) ? synonym : didYouMean(key, known);
    const hint = guess === null ? `known are ${known.join(', ')}` : `did you mean ${guess}?`;
    problems.error(place, `${clip(key)} is not a key that is known ${where}`, hint);
  }
}

function invalidKey({ path, issue }: FlatIssue, tree: Tree, problems: Problems): void {
  if (issue.code !== 'invalid_key') return;
  const [message, hint] = (issue.issues[0]?.message ?? issue.message).split('\n');
  const key = clip(String(path[path.length - 1]));
  problems.error({ mark: keyMark(tree, path), path }, `${key} ${message}`, hint ?? null);
}

function plainIssue({ path, issue, kinds }: FlatIssue, tree: Tree, problems: Problems): void {
  const here = at(tree, path);
  const name = String(path.findLast((step) => typeof step === 'string') ?? 'the file');
  const isVariable = here?.kind === 'scalar' && here.fromEnv === true;
  const label = isVariable ? `${name} (from ${here.variables.join(', ')})` : name;
  const [message, hint] = wording(here, path, kinds ?? [issue]);
  problems.error({ mark: markAt(tree, path), path }, `${label}${message}`, hint);
}

/** What stands behind the name of the value. Several issues: no branch of a union takes such a value. */
function wording(
  here: Tree | null,
  path: Path,
  issues: readonly Issue[],
): readonly [message: string, hint: string | null] {
  const issue = issues[0]!;
  if (here === null) return [' is missing', 'it has no default'];
  if (here.kind === 'scalar' && here.value === null) return [' is empty', 'remove the key, or give it a value'];
  if (issues.length === 1 && issue.code === 'invalid_value' && here.kind === 'scalar') {
    const values = issue.values.map(String);
    const near = didYouMean(String(here.value), values);
    const hint = near === null ? null : `did you mean ${near}?`;
    return [`${shown(path, here)} is not one of ${values.join(', ')}`, hint];
  }
  if (issues.length > 1 || issue.code === 'invalid_type' || issue.code === 'invalid_value') {
    const wanted = [...new Set(issues.flatMap(kindOf))];
    return [` must be ${wanted.join(' or ')}, not ${describe(here)}`, kindHint(here, path, wanted)];
  }
  if (issue.code === 'too_small' && issue.origin === 'array') return [' is an empty list', null];
  const [message, hint] = issue.message.split('\n');
  return [`${shown(path, here)} ${message}`, hint ?? null];
}

/** The map that somebody means who writes a path alone. */
const pathKeys: Readonly<Record<string, string>> = { health: 'path', demote: 'post', promote: 'post', rejoin: 'post' };
const switchWords: Readonly<Record<string, boolean>> = { yes: true, on: true, no: false, off: false };

/** What to write in place of a scalar of the wrong kind. */
function kindHint(here: Tree, path: Path, wanted: readonly string[]): string | null {
  if (here.kind !== 'scalar') return null;
  if (here.written === null && wanted.some((kind) => kind.endsWith('number'))) return 'leave out the quotes';
  const value = shown(path, here).trim();
  if (value === '' || typeof here.value !== 'string') return null;
  const key = pathKeys[String(path.at(-1))];
  if (value.startsWith('/') && key !== undefined) return `write { ${key}: ${value} }`;
  const word = switchWords[value.toLowerCase()];
  if (wanted.join() === 'true or false') return word === undefined ? null : `write ${word}`;
  if (wanted.join() === 'a list') return `write [${value}]`;
  const words = wanted.flatMap((kind) => /^"(.*)"$/.exec(kind)?.[1] ?? []);
  const near = didYouMean(value, words);
  return near === null ? null : `did you mean ${near}?`;
}

/** The value as it goes into a message; never a secret one, and never what a variable brought in. */
function shown(path: Path, here: Tree): string {
  if (here.kind !== 'scalar' || here.variables.length > 0) return '';
  if (isClusterKey(path) || path.includes('token') || path.includes('set') || String(here.value).includes('@'))
    return '';
  return ` ${clip(String(here.written ?? here.value))}`;
}

function kindOf(issue: Issue): string[] {
  if (issue.code === 'invalid_value')
    return issue.values.map((value) => (typeof value === 'string' ? `"${value}"` : String(value)));
  if (issue.code !== 'invalid_type') return [];
  const words: Readonly<Record<string, string>> = {
    string: 'text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    array: 'a list',
    object: 'a map',
    record: 'a map',
    null: 'empty',
  };
  return [words[issue.expected] ?? String(issue.expected)];
}

function describe(tree: Tree): string {
  if (tree.kind === 'list') return 'a list';
  if (tree.kind === 'map') return 'a map';
  if (tree.value === null) return 'empty';
  if (typeof tree.value === 'string') return 'text';
  return typeof tree.value === 'number' ? `the number ${tree.value}` : String(tree.value);
}

/** One line of at most 60 characters that can be printed anywhere. */
export function clip(text: string): string {
  const flat = text.replace(/[\x00-\x1f\x7f]/g, '?');
  return flat.length > 60 ? `${flat.slice(0, 57)}...` : flat;
}
