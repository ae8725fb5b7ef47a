/**
 * YAML text -> Tree, or problems. The text is not trusted: a config may come from a pipeline or a cluster's API.
 *
 * What is refused, and why: over 4 MiB, 32 levels or a million values (a list of 16 384 nodes stays far below);
 * aliases that multiply or contain themselves; several documents; `%` directives, since `%YAML 1.1` would change what
 * `off` means; tags; merge keys, which hide where a value came from; `__proto__`; keys that are given twice.
 *
 * The `yaml` package parses; its own conversion to values is not used, as that throws on an unknown alias, and its
 * search for duplicate keys takes time by the square of their number. Resolving is done here, in one walk.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseAllDocuments,
  type Scalar,
  type YAMLError,
} from 'yaml';
import { type Env, expand, mask, maskedCharacter, typed, unmask } from './expand.ts';
import { Problems } from './problems.ts';
import { brokenScalar, type MapTree, type Mark, type Path, type ScalarTree, type Source, type Tree } from './tree.ts';

export const maxFileSize = 4 * 1024 * 1024;
const maxDepth = 32;
const maxValues = 1_000_000;
const maxAliases = 1000;
const maxExpandedTotal = 4 * 1024 * 1024;

export interface Parsed {
  readonly source: Source;
  readonly problems: Problems;
  /** null when the text is no YAML that could be checked further; then there is a problem. */
  readonly tree: Tree | null;
}

export function parseYaml(bytes: string, file: string, env: Env): Parsed {
  const text = bytes.startsWith('\ufeff') ? bytes.slice(1) : bytes;
  const tooLarge = text.length > maxFileSize;
  const source: Source = { file, lines: tooLarge ? [] : text.split(/\r\n|\n|\r/) };
  const problems = new Problems(source);
  if (tooLarge) {
    problems.error({ mark: start }, `the file is over ${maxFileSize / 2 ** 20} MiB`, 'is this really a config file?');
    return { source, problems, tree: null };
  }
  if (!isPlainText(text, problems, source)) return { source, problems, tree: null };
  return { source, problems, tree: readDocument(text, env, problems) };
}

const start: Mark = { line: 1, column: 1 };

function isPlainText(text: string, problems: Problems, source: Source): boolean {
  const bad = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ue000-\ue07f]/.exec(text);
  if (!bad) return true;
  const code = bad[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  const line = source.lines.findIndex((one) => one.includes(bad[0]));
  const mark = line < 0 ? start : { line: line + 1, column: (source.lines[line]?.indexOf(bad[0]) ?? 0) + 1 };
  const own = maskedCharacter.test(bad[0]);
  problems.error(
    { mark },
    `the character U+${code} cannot be used here`,
    own ? 'characters of private use are not read' : 'the file must be plain text in UTF-8',
  );
  return false;
}

function readDocument(text: string, env: Env, problems: Problems): Tree | null {
  const lineCounter = new LineCounter();
  const masked = mask(text).replace(/\r(?!\n)/g, '\n');
  const found = parseAllDocuments(masked, {
    lineCounter,
    uniqueKeys: false,
    prettyErrors: false,
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    logLevel: 'error',
  });
  const documents = Array.isArray(found) ? found : [];
  const markOf = (offset: number): Mark => {
    const { line, col } = lineCounter.linePos(Math.max(0, Math.min(offset, masked.length)));
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  for (const document of documents.slice(0, 1)) {
    reportSyntax([...document.errors, ...document.warnings], markOf, problems);
    const directives = document.directives;
    if (directives?.yaml.explicit) {
      problems.error({ mark: start }, '%YAML directives are not read', 'remove the line; the file is YAML 1.2');
    }
  }
  const second = documents[1];
  if (second) {
    problems.error({ mark: markOf(second.range[0]) }, 'the file holds several documents', 'keep one, without "---"');
  }
  if (problems.failed) return null;
  const contents = documents[0]?.contents;
  if (!contents || (isScalar(contents) && contents.value === null)) {
    problems.error(
      { mark: start },
      'the file is empty',
      'the least that works: pools: { app: { nodes: [http://127.0.0.1:3000] } }',
    );
    return null;
  }
  return new Walk(env, markOf, problems).tree(contents, [], start)?.tree ?? null;
}

const friendlySyntax: Readonly<Record<string, readonly [message: string, hint: string | null]>> = {
  TAB_AS_INDENT: ['a tab is used for indentation', 'YAML allows spaces only'],
  BAD_SCALAR_START: ['a value starts with a character that means something to YAML', 'put the value in quotes'],
  BLOCK_AS_IMPLICIT_KEY: [
    'there is a second key on this line, or the indentation is off',
    'put a value that contains ": " in quotes',
  ],
  MULTILINE_IMPLICIT_KEY: ['a key must be on one line', 'is a ":" missing, or the indentation off?'],
  MISSING_CHAR: ['a closing quote or bracket, or a ":" behind a key, is missing', null],
  BAD_INDENT: ['the indentation is off, or a bracket is not closed', null],
  RESOURCE_EXHAUSTION: ['the file is nested too deeply', null],
  BAD_DIRECTIVE: ['% directives are not read', 'put the value in quotes if it starts with %'],
  TAG_RESOLVE_FAILED: ['YAML tags (!name) are not read', 'put the value in quotes if it starts with !'],
};

/** One per line: what follows on the same line is nearly always the same mistake seen again. */
function reportSyntax(errors: readonly YAMLError[], markOf: (offset: number) => Mark, problems: Problems): void {
  const told = new Set<number>();
  for (const error of errors) {
    const mark = markOf(error.pos[0]);
    if (told.has(mark.line)) continue;
    told.add(mark.line);
    const other = [unmask(error.message).split('\n')[0]!.slice(0, 200), null] as const;
    const [message, hint] = friendlySyntax[error.code] ?? other;
    problems.error({ mark }, message, hint);
  }
}

interface Sized {
  readonly tree: Tree;
  /** Values in it, counted again at every use of an alias. */
  readonly size: number;
}

/** One walk over the parsed document. `null` = there was a problem, already told. */
class Walk {
  readonly #env: Env;
  readonly #markOf: (offset: number) => Mark;
  readonly #problems: Problems;
  readonly #anchors = new Map<string, Sized | 'open'>();
  #values = 0;
  #aliases = 0;
  #expanded = 0;
  #given = false;

  constructor(env: Env, markOf: (offset: number) => Mark, problems: Problems) {
    this.#env = env;
    this.#markOf = markOf;
    this.#problems = problems;
  }

  /** `near` is the place to point at for a value that has none of its own. */
  tree(node: unknown, path: Path, near: Mark): Sized | null {
    if (isAlias(node)) return this.#alias(node.source, path, this.#place(node, near));
    const mark = this.#place(node, near);
    if (path.length > maxDepth) return this.#refuse(mark, path, `nested deeper than ${maxDepth} levels`);
    if (!this.#count(1, mark, path)) return null;
    if (isScalar(node) || isMap(node) || isSeq(node)) {
      if (node.tag !== undefined)
        this.#problems.error({ mark, path }, 'YAML tags (!!name) are not read', 'remove the tag');
      if (node.anchor !== undefined) this.#anchors.set(node.anchor, 'open');
      const read = isScalar(node)
        ? this.#scalar(node, path, mark)
        : isSeq(node)
          ? this.#list(node.items, path, mark)
          : this.#map(node.items, path, mark);
      if (node.anchor !== undefined) {
        if (read) this.#anchors.set(node.anchor, read);
        else this.#anchors.delete(node.anchor);
      }
      return read;
    }
    return { tree: { kind: 'scalar', mark, value: null, written: null, variables: [] }, size: 1 };
  }

  #alias(name: string, path: Path, mark: Mark): Sized | null {
    const target = this.#anchors.get(name);
    if (target === undefined) return this.#refuse(mark, path, `*${name} refers to an anchor that is not defined above`);
    if (target === 'open') return this.#refuse(mark, path, `*${name} contains itself`);
    if (++this.#aliases > maxAliases) return this.#refuse(mark, path, `more than ${maxAliases} aliases`);
    return this.#count(target.size, mark, path) ? target : null;
  }

  #scalar(node: Scalar, path: Path, mark: Mark): Sized | null {
    const isPlain = node.type === 'PLAIN';
    const text = unmask(isPlain ? (node.source ?? String(node.value)) : String(node.value));
    const expanded = expand(text, this.#env);
    if (!expanded.ok) {
      this.#problems.error({ mark, path }, expanded.error.message, expanded.error.hint);
      return null;
    }
    const { text: result, variables } = expanded.value;
    if (variables.length > 0) this.#expanded += result.length;
    if (this.#expanded > maxExpandedTotal) return this.#refuse(mark, path, 'variables expand to over 4 MiB');
    const value = isPlain ? typed(result) : result;
    return {
      tree: { kind: 'scalar', mark, value, written: isPlain ? result : null, variables } satisfies ScalarTree,
      size: 1,
    };
  }

  #list(items: readonly unknown[], path: Path, mark: Mark): Sized | null {
    const trees: Tree[] = [];
    let size = 1;
    for (const [index, item] of items.entries()) {
      if (this.#given) return null;
      const read = this.tree(item, [...path, index], mark) ?? { tree: brokenScalar(mark), size: 1 };
      trees.push(read.tree);
      size += read.size;
    }
    return { tree: { kind: 'list', mark, items: trees }, size };
  }

  #map(pairs: readonly Pair[], path: Path, mark: Mark): Sized | null {
    const entries = new Map<string, { key: Mark; value: Tree }>();
    let size = 1;
    for (const pair of pairs) {
      if (this.#given) return null;
      const keyMark = this.#place(pair.key, mark);
      const key = this.#key(pair.key, path, keyMark);
      if (key === null) continue;
      const first = entries.get(key);
      if (first) {
        this.#problems.error(
          { mark: keyMark, path: [...path, key] },
          `${key} is given twice`,
          `the first is on line ${first.key.line}`,
        );
        continue;
      }
      const read = this.tree(pair.value, [...path, key], keyMark) ?? { tree: brokenScalar(keyMark), size: 1 };
      entries.set(key, { key: keyMark, value: read.tree });
      size += read.size;
    }
    return { tree: { kind: 'map', mark, entries } satisfies MapTree, size };
  }

  #key(node: unknown, path: Path, mark: Mark): string | null {
    const refuse = (message: string, hint: string | null = null): null => {
      this.#problems.error({ mark, path }, message, hint);
      return null;
    };
    if (!isScalar(node) || node.value === null)
      return refuse('a key must be a plain word', 'for example "name: value"');
    const key = unmask(node.type === 'PLAIN' ? (node.source ?? String(node.value)) : String(node.value));
    if (key === '<<')
      return refuse('merge keys (<<) are not read', 'write the values out, or use an alias for the whole value');
    if (key === '__proto__') return refuse('__proto__ cannot be a key');
    if (key.includes('${')) return refuse('variables are not expanded in keys');
    if (key.length > 1024) return refuse('a key is over 1024 characters long');
    return key;
  }

  #count(values: number, mark: Mark, path: Path): boolean {
    this.#values += values;
    if (this.#values <= maxValues) return true;
    if (!this.#given)
      this.#refuse(mark, path, `the file holds more than ${maxValues} values, aliases counted at each use`);
    this.#given = true;
    return false;
  }

  #refuse(mark: Mark, path: Path, message: string): null {
    this.#problems.error({ mark, path }, message);
    return null;
  }

  #place(node: unknown, near: Mark): Mark {
    const range = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range : null;
    if (!range || (isScalar(node) && range[0] === range[1])) return near;
    return this.#markOf(range[0]);
  }
}
