/**
 * The front door: YAML text in, a frozen Config or all problems out. Never throws, whatever the text.
 *
 *   parse.ts (YAML, places, variables) -> environment.ts -> preset.ts -> draft.ts (each section by its schema) -> check.ts (across sections) -> build.ts
 *
 * Not here: reading the file and the certificates it names (io/load.ts).
 */
import { err, ok, type Result } from '../base/result.ts';
import { buildConfig } from './build.ts';
import { checkDraft } from './check.ts';
import { readDraft } from './draft.ts';
import { withEnvironment } from './environment.ts';
import type { Env } from './expand.ts';
import type { Config, Problem } from './model.ts';
import { parseYaml } from './parse.ts';
import { withPreset } from './preset.ts';
import { Problems } from './problems.ts';
import type { Source, Tree } from './tree.ts';

/** A Config, and what is needed to say where each of its values came from. */
export interface LoadedConfig {
  readonly config: Config;
  /** Worth a word, but no reason to refuse. */
  readonly warnings: readonly Problem[];
  readonly source: Source;
  readonly tree: Tree;
}

export interface LoadOptions {
  /** The name in front of each message. */
  readonly file: string;
  readonly env: Env;
}

export function loadConfig(text: string, { file, env }: LoadOptions): Result<LoadedConfig, readonly Problem[]> {
  const { source, tree, problems } = parse(text, file, env);
  if (tree === null) return err(problems.list());
  return loadTree(withPreset(withEnvironment(tree, env)), source, problems);
}

/** The same for a tree that was made of something else than a file. */
export function loadTree(tree: Tree, source: Source, problems: Problems): Result<LoadedConfig, readonly Problem[]> {
  const draft = readDraft(tree, problems);
  checkDraft(draft, { tree, problems });
  const config = buildConfig(draft);
  if (config === null || problems.failed) return err(problems.list());
  return ok({ config: freeze(config), warnings: problems.list(), source, tree });
}

/** The YAML package is not ours: should it throw on some text after all, that text is refused like any other. */
function parse(text: string, file: string, env: Env): ReturnType<typeof parseYaml> {
  try {
    return parseYaml(text, file, env);
  } catch (cause) {
    const source: Source = { file, lines: text.split('\n', 1) };
    const problems = new Problems(source);
    const why = cause instanceof Error ? cause.message.split('\n')[0]!.slice(0, 200) : 'unknown cause';
    problems.error({ mark: { line: 1, column: 1 } }, `the file cannot be read as YAML: ${why}`);
    return { source, problems, tree: null };
  }
}

/** All that is in it, too. */
export function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freeze(inner);
  }
  return value;
}
