/**
 * The config as it was read: values that know where they came from.
 *
 *   text --parse.ts--> Tree --plain()--> plain value --schema--> checked value --build.ts--> Config
 *                        |                                |
 *                        +---- path -> place of it -------+--> Problem with line and column
 *
 * A flag of the command line makes a Tree as well (flags.ts), so that everything behind it is one way for both.
 * Trees of aliases are shared, not copied: a path, not a node, tells two uses apart.
 */

/** Line and column count from 1. */
export interface Mark {
  readonly line: number;
  readonly column: number;
}

export type Path = readonly (string | number)[];
export type ScalarValue = string | number | boolean | null;

export interface ScalarTree {
  readonly kind: 'scalar';
  readonly mark: Mark;
  readonly value: ScalarValue;
  /** As written and expanded, before YAML gave it a type: `007`, `true`. null for quoted and block text. */
  readonly written: string | null;
  /** Environment variables that took part in the value. */
  readonly variables: readonly string[];
  /** Not in the file: a variable alone gave it (environment.ts). */
  readonly fromEnv?: true;
  /** Neither written nor from a variable: where it is from, in words (preset.ts). */
  readonly origin?: string;
  /** Could not be read, which has been told already: whatever else is wrong with it is no news. */
  readonly broken?: true;
}

export const brokenScalar = (mark: Mark): ScalarTree => ({
  kind: 'scalar',
  mark,
  value: null,
  written: null,
  variables: [],
  broken: true,
});

export interface ListTree {
  readonly kind: 'list';
  readonly mark: Mark;
  readonly items: readonly Tree[];
}

export interface MapTree {
  readonly kind: 'map';
  readonly mark: Mark;
  readonly entries: ReadonlyMap<string, { readonly key: Mark; readonly value: Tree }>;
}

export type Tree = ScalarTree | ListTree | MapTree;

/** Where the file's text is kept for the messages. */
export interface Source {
  /** The name that goes in front of every message. */
  readonly file: string;
  /** Without their ends; line 1 is lines[0]. */
  readonly lines: readonly string[];
  /** No file, but flags: then a line number would tell nothing. */
  readonly isCommandLine?: true;
}

export function child(tree: Tree, step: string | number): Tree | null {
  if (tree.kind === 'map') return tree.entries.get(String(step))?.value ?? null;
  if (tree.kind === 'list' && typeof step === 'number') return tree.items[step] ?? null;
  return null;
}

/** The value at a path, or null if it is not written there. */
export function at(tree: Tree, path: Path): Tree | null {
  let here: Tree | null = tree;
  for (const step of path) {
    if (here === null) return null;
    here = child(here, step);
  }
  return here;
}

/** The place of the path's value, or of what stands nearest above it. */
export function markAt(tree: Tree, path: Path): Mark {
  let here = tree;
  let mark = tree.mark;
  for (const step of path) {
    const entry = here.kind === 'map' ? here.entries.get(String(step)) : undefined;
    const next = child(here, step);
    if (next === null) return mark;
    here = next;
    // An empty value has no place worth pointing at; its key has.
    mark = entry && next.kind === 'scalar' && next.value === null ? entry.key : next.mark;
  }
  return mark;
}

/** The place of a key itself; of the map if it is not there. */
export function keyMark(tree: Tree, path: Path): Mark {
  const parent = at(tree, path.slice(0, -1));
  const last = path[path.length - 1];
  const entry = parent?.kind === 'map' && last !== undefined ? parent.entries.get(String(last)) : undefined;
  return entry?.key ?? markAt(tree, path);
}

/** As objects without a prototype, lists and scalars. Scalars in `asText` are given as they were written. */
export function plain(tree: Tree, asText: ReadonlySet<ScalarTree>): unknown {
  if (tree.kind === 'scalar') return asText.has(tree) && tree.written !== null ? tree.written : tree.value;
  if (tree.kind === 'list') return tree.items.map((item) => plain(item, asText));
  const object: Record<string, unknown> = Object.create(null);
  for (const [key, entry] of tree.entries) object[key] = plain(entry.value, asText);
  return object;
}

/** `pools.app.nodes[1].weight`; keys with unusual characters are quoted. */
export function pathText(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[\w-]+$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}
