/**
 * A config without a file: `evenkeel run --listen :8080 --to http://a:3000 --to http://b:3000`.
 *
 * The flags become the Tree that a file would have become, so they meet the same schema, checks and defaults. Their
 * places are columns of the command line, which is put together again as the source line of the messages.
 */
import { err, type Result } from '../base/result.ts';
import { typed } from './expand.ts';
import { type LoadedConfig, loadTree } from './load.ts';
import type { Problem } from './model.ts';
import { Problems } from './problems.ts';
import type { ListTree, MapTree, Mark, ScalarTree, Source, Tree } from './tree.ts';

export interface ConfigFlags {
  /** Addresses as under `listen`; none: the default. */
  readonly listen?: readonly string[];
  /** The nodes' urls; at least one. */
  readonly to: readonly string[];
  readonly admin?: string;
  readonly balance?: string;
  /** The path of an HTTP check, or `off`; without it nodes are probed by connecting. */
  readonly health?: string;
  readonly workers?: string;
  readonly logLevel?: string;
  readonly access?: string;
}

export function configFromFlags(flags: ConfigFlags): Result<LoadedConfig, readonly Problem[]> {
  const line = new CommandLine();
  const listen = line.list('--listen', flags.listen ?? []);
  const nodes = line.list('--to', flags.to);
  const scalar = (flag: string, value: string | undefined): Tree | null =>
    value === undefined ? null : line.scalar(flag, value);
  const admin = scalar('--admin', flags.admin);
  const balance = scalar('--balance', flags.balance);
  const health = scalar('--health', flags.health);
  const workers = scalar('--workers', flags.workers);
  const level = scalar('--log-level', flags.logLevel);
  const access = scalar('--access', flags.access);
  const isPath = flags.health !== 'off' && flags.health !== 'false';
  const tree = map({
    listen: listen.items.length > 0 ? listen : null,
    workers,
    pools: map({ app: map({ nodes, balance, health: health && isPath ? map({ path: health }) : health }) }),
    admin,
    log: level || access ? map({ level, access }) : null,
  });
  const source: Source = { file: 'command line', lines: [line.text], isCommandLine: true };
  const problems = new Problems(source);
  if (nodes.items.length === 0) {
    problems.error({ mark: start }, 'no node is given', 'name each with --to, for example --to http://127.0.0.1:3000');
    return err(problems.list());
  }
  return loadTree(tree, source, problems);
}

const start: Mark = { line: 1, column: 1 };

function map(values: Readonly<Record<string, Tree | null>>): MapTree {
  const given = Object.entries(values).flatMap(([key, value]) =>
    value === null ? [] : [[key, { key: value.mark, value }] as const],
  );
  return { kind: 'map', mark: given[0]?.[1].key ?? start, entries: new Map(given) };
}

class CommandLine {
  text = '';

  scalar(flag: string, value: string): ScalarTree {
    this.text += `${this.text === '' ? '' : ' '}${flag} `;
    const mark: Mark = { line: 1, column: this.text.length + 1 };
    this.text += value;
    return { kind: 'scalar', mark, value: typed(value), written: value, variables: [] };
  }

  list(flag: string, values: readonly string[]): ListTree {
    const items = values.map((value) => this.scalar(flag, value));
    return { kind: 'list', mark: items[0]?.mark ?? start, items };
  }
}
