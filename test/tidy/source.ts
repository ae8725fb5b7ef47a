/**
 * Reads the tree's own sources for tidy.test.ts: which files there are, and what each holds. The parser is the one
 * that Vitest runs on, so that strings, templates, comments and regular expressions never count as code.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { parseSync } from 'vite';

export const root = resolve(import.meta.dirname, '../..');

/** A node of the syntax tree: ESTree with TypeScript's nodes. */
export interface Syntax {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

export interface Source {
  /** From the root, with forward slashes: `src/base/hash.ts`. */
  readonly path: string;
  readonly text: string;
  readonly program: Syntax;
}

const ignored = new Set(['node_modules', 'dist', '.git', 'coverage', 'data', '.vitest']);

/** Files under a folder of the repository, by the end of their name, in order. Empty if the folder is missing. */
export function filesUnder(folder: string, endings: readonly string[]): string[] {
  const found: string[] = [];
  const visit = (at: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (ignored.has(entry.name)) continue;
      const path = join(at, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (endings.some((ending) => entry.name.endsWith(ending))) {
        found.push(relative(root, path).split(sep).join('/'));
      }
    }
  };
  if (existsSync(join(root, folder))) visit(join(root, folder));
  return found.sort();
}

export const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

export function readSource(path: string): Source {
  return parse(path, textOf(path));
}

export function parse(path: string, text: string): Source {
  const result = parseSync(path, text, { lang: 'ts', sourceType: 'module' });
  if (result.errors.length > 0) throw new Error(`${path}: ${result.errors[0]?.message}`);
  return { path, text, program: result.program as unknown as Syntax };
}

const isSyntax = (value: unknown): value is Syntax =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

/** Calls `see` for every node, parents first, with the parent and the name of the field that holds it. */
export function walk(node: Syntax, see: (node: Syntax, parent: Syntax | null, field: string) => void): void {
  const visit = (current: Syntax, parent: Syntax | null, field: string): void => {
    see(current, parent, field);
    for (const [name, value] of Object.entries(current)) {
      if (Array.isArray(value)) {
        for (const item of value) if (isSyntax(item)) visit(item, current, name);
      } else if (isSyntax(value)) visit(value, current, name);
    }
  };
  visit(node, null, '');
}

export function lineOf(source: Source, offset: number): number {
  let line = 1;
  for (let at = source.text.indexOf('\n'); at !== -1 && at < offset; at = source.text.indexOf('\n', at + 1)) line++;
  return line;
}

export interface Import {
  /** As written. */
  readonly from: string;
  /** From the root if the import is relative, else null. */
  readonly target: string | null;
  readonly line: number;
}

const stringValue = (value: unknown): string | null =>
  isSyntax(value) && value.type === 'Literal' && typeof value['value'] === 'string' ? value['value'] : null;

/** Static and dynamic imports, re-exports, and `new URL('./file', import.meta.url)`, by which workers are started. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  const add = (from: string | null, node: Syntax): void => {
    if (from === null) return;
    const relativeImport = from.startsWith('.');
    const target = relativeImport ? join(dirname(source.path), from).split(sep).join('/') : null;
    found.push({ from, target, line: lineOf(source, node.start) });
  };
  walk(source.program, (node) => {
    if (node['source'] !== undefined && /^(Import|Export)/.test(node.type)) add(stringValue(node['source']), node);
    if (node.type === 'TSImportType') add(stringValue(node['source'] ?? node['argument']), node);
    if (node.type === 'NewExpression' && isSyntax(node['callee']) && node['callee']['name'] === 'URL') {
      walk(node, (inner) => {
        const text = stringValue(inner);
        if (text?.startsWith('./') || text?.startsWith('../')) add(text, inner);
      });
    }
  });
  return found;
}
