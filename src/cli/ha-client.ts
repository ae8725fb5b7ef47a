/**
 * Asks a running evenkeel about its cluster, for the commands cluster, state and lock: their common options, and a
 * refusal as one line and an exit code. With --json standard output is what the API said, refusals too.
 */
import type { Command } from 'commander';
import { type AdminTarget, type Answered, type Ask, askAdmin } from './admin-client.ts';
import { CommandError, exitCode } from './exit.ts';

export interface AdminOptions {
  readonly admin: string;
  readonly token?: string;
  readonly json?: true;
}

const defaultAdmin = '127.0.0.1:9090';

export const withAdmin = (command: Command): Command =>
  command
    .option('--admin <address>', 'its admin API: host:port, a URL, or unix:/path', defaultAdmin)
    .option('--token <token>', 'admin token (or EVENKEEL_ADMIN_TOKEN)')
    .option('--json', 'print what the API answers');

export const targetOf = (options: AdminOptions): AdminTarget => ({
  address: options.admin,
  token: options.token ?? process.env['EVENKEEL_ADMIN_TOKEN'] ?? null,
});

export type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An object; anything else does not come from evenkeel. */
export function fieldsOf(value: unknown, options: AdminOptions): Fields {
  if (isFields(value)) return value;
  const what = `${options.admin} answers, but not as evenkeel does. Is that its admin address?`;
  throw new CommandError(what, exitCode.unreachable);
}

/** 503 is for a while: no quorum, too much at once, shutting down. */
export function refusalOf(fields: Fields, status: number): CommandError {
  const detail = typeof fields['detail'] === 'string' ? fields['detail'] : `the API answers ${status}`;
  const title = typeof fields['title'] === 'string' ? fields['title'] : '';
  const isSaid = title === '' || detail.toLowerCase().startsWith(title.toLowerCase());
  return new CommandError(
    isSaid ? detail : `${title}: ${detail}`,
    status === 503 ? exitCode.unhealthy : exitCode.failed,
  );
}

export const printJson = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);

export function doneOf({ status, json }: Answered, options: AdminOptions): Fields {
  const fields = fieldsOf(json, options);
  if (options.json === true) printJson(fields);
  if (status < 200 || status > 299) throw refusalOf(fields, status);
  return fields;
}

/** The fields of a good answer, printed already if --json asks for it. Throws CommandError for a refusal. */
export const askHa = async (options: AdminOptions, ask: Ask): Promise<Fields> =>
  doneOf(await askAdmin(targetOf(options), ask), options);

/** A query of what is given; empty if nothing is. */
export function queryOf(parts: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parts)) if (value !== undefined) query.set(name, String(value));
  return query.size === 0 ? '' : `?${query}`;
}
