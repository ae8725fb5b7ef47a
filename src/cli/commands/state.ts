/** `evenkeel state`: the agreed keys. A VALUE is text, with --parse JSON, and `-` is standard input. */
import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Answered, readEvents } from '../admin-client.ts';
import { CommandError, exitCode } from '../exit.ts';
import { type AdminOptions, askHa, doneOf, type Fields, queryOf, targetOf, withAdmin } from '../ha-client.ts';

interface Options extends AdminOptions {
  readonly consistency?: string;
  readonly revision?: number;
  readonly parse?: true;
  readonly expected?: string;
  readonly absent?: true;
  readonly max?: number;
  readonly after?: string | number;
  readonly lease?: number;
}

const keyPath = (key: string): string => `/api/ha/state/${encodeURIComponent(key)}`;

function whole(given: string): number {
  const value = Number(given);
  if (/^\d+$/.test(given) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('It must be a whole number.');
}

/** Text as it is, anything else as JSON. */
const plain = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

async function readValue(given: string, options: Options): Promise<unknown> {
  const content = given === '-' ? await text(process.stdin) : given;
  if (options.parse !== true) return content;
  try {
    return JSON.parse(content) as unknown;
  } catch (error) {
    throw new CommandError(`The value is not JSON: ${(error as Error).message}`, exitCode.usage);
  }
}

async function get(key: string, options: Options): Promise<void> {
  const { value } = await askHa(options, { path: `${keyPath(key)}${queryOf({ consistency: options.consistency })}` });
  if (options.json !== true) process.stdout.write(`${plain(value)}\n`);
}

/** The new revision, so that a script can go on from it. */
function tell(fields: Fields, options: Options): void {
  if (options.json === true) return;
  process.stdout.write(fields['committed'] === true ? `${plain(fields['revision'])}\n` : 'handed on, not committed\n');
}

const leaseIn = ({ lease }: Options): object => (lease === undefined ? {} : { lease });

async function set(key: string, given: string, options: Options): Promise<void> {
  const body = { value: await readValue(given, options), ...leaseIn(options) };
  const path = `${keyPath(key)}${queryOf({ consistency: options.consistency })}`;
  tell(await askHa(options, { method: 'PUT', path, body }), options);
}

async function cas(key: string, given: string, options: Options): Promise<void> {
  const conditions = [options.revision, options.expected, options.absent].filter((one) => one !== undefined);
  if (conditions.length !== 1) {
    throw new CommandError('Say one of --revision, --expected and --absent.', exitCode.usage);
  }
  const value = await readValue(given, options);
  const when =
    options.expected === undefined
      ? { revision: options.revision ?? 0 }
      : { expected: await readValue(options.expected, options) };
  tell(
    await askHa(options, {
      method: 'POST',
      path: `${keyPath(key)}/cas`,
      body: { value, ...when, ...leaseIn(options) },
    }),
    options,
  );
}

async function remove(key: string, options: Options): Promise<void> {
  const { consistency, revision } = options;
  const path = `${keyPath(key)}${queryOf({ consistency, revision })}`;
  const fields = await askHa(options, { method: 'DELETE', path });
  if (fields['deleted'] === false) throw new CommandError(`There was no key ${key} to delete.`, exitCode.failed);
  tell(fields, options);
}

async function list(prefix: string, options: Options): Promise<void> {
  const { consistency, max, after } = options;
  const page = await askHa(options, { path: `/api/ha/state${queryOf({ prefix, consistency, max, after })}` });
  if (options.json === true) return;
  const entries = Array.isArray(page['entries']) ? (page['entries'] as Fields[]) : [];
  for (const { key, value } of entries) process.stdout.write(`${plain(key)}\t${JSON.stringify(value)}\n`);
  if (page['more'] === true) process.stderr.write(`There are more: --after '${plain(entries.at(-1)?.['key'])}'\n`);
}

async function watch(prefix: string, options: Options): Promise<void> {
  let why: unknown = null;
  const path = `/api/ha/watch${queryOf({ prefix, after: options.after })}`;
  const refused: Answered | null = await readEvents(targetOf(options), path, (event, data) => {
    if (event === 'ended') why = (data as Fields)['why'];
    if (options.json === true) process.stdout.write(`${JSON.stringify({ event, ...(data as Fields) })}\n`);
    else if (event === 'change') process.stdout.write(`${changeLine(data as Fields)}\n`);
  });
  if (refused !== null) doneOf(refused, options);
  throw new CommandError(`The watch has ended: ${plain(why ?? 'the connection was closed')}.`, exitCode.failed);
}

const changeLine = ({ revision, key, value, deleted }: Fields): string =>
  `${plain(revision)}\t${plain(key)}\t${deleted === true ? '(deleted)' : JSON.stringify(value)}`;

const consistency = (): Option =>
  new Option('--consistency <kind>', 'default quorum').choices(['strong', 'quorum', 'eventual']);

export function addState(program: Command): void {
  const state = program.command('state').description('read and write the agreed keys of the cluster');
  const parse = ['--parse', 'VALUE is JSON (default: text)'] as const;
  const lease = ['--lease <id>', 'the key goes when this lease ends', whole] as const;
  const valueHelp = 'the value; - reads it from standard input';
  withAdmin(state.command('get'))
    .description('print the value of a key; exits 1 if there is none')
    .argument('<key>')
    .addOption(consistency())
    .action(get);
  withAdmin(state.command('set'))
    .description('set a key; prints its revision')
    .argument('<key>')
    .argument('<value>', valueHelp)
    .option(...parse)
    .option(...lease)
    .addOption(consistency())
    .action(set);
  withAdmin(state.command('cas'))
    .description('set a key if it is as expected; exits 1 if it is not')
    .argument('<key>')
    .argument('<value>', valueHelp)
    .option('--revision <n>', 'it is at this revision', whole)
    .option('--expected <value>', 'it has this value')
    .option('--absent', 'there is no such key')
    .option(...parse)
    .option(...lease)
    .action(cas);
  withAdmin(state.command('delete'))
    .description('delete a key; exits 1 if there is none')
    .argument('<key>')
    .option('--revision <n>', 'only at this revision', whole)
    .addOption(consistency())
    .action(remove);
  withAdmin(state.command('list'))
    .description('print keys in order with their values as JSON')
    .argument('[prefix]', 'only keys that begin so', '')
    .option('--after <key>', 'only keys after this one')
    .option('--max <n>', 'at most so many (default 1000)', whole)
    .addOption(consistency())
    .action(list);
  withAdmin(state.command('watch'))
    .description('print changes of keys as they are made, until the member ends; with --json one object per line')
    .argument('[prefix]', 'only keys that begin so', '')
    .option('--after <revision>', 'changes after this revision too', whole)
    .action(watch);
}
