/** Reads JSON from the admin API of a running evenkeel, over TCP or a unix socket. */
import { type RequestOptions, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { CommandError, exitCode } from './exit.ts';

export interface AdminTarget {
  /** `http://127.0.0.1:9090`, `127.0.0.1:9090` or `unix:/run/evenkeel/admin.sock`. */
  readonly address: string;
  readonly token: string | null;
}

const timeoutMs = 5000;

interface Answer {
  readonly status: number;
  readonly body: string;
}

function urlOf(address: string, path: string): URL {
  const base = address.includes('://') ? address : `http://${address}`;
  if (base.startsWith('http://') && URL.canParse(path, base)) return new URL(path, base);
  throw new CommandError(
    `--admin ${address}: not an address. Write host:port, http://host:port or unix:/path.`,
    exitCode.usage,
  );
}

function send(target: AdminTarget, path: string): Promise<Answer> {
  const unix = target.address.startsWith('unix:') ? target.address.slice('unix:'.length) : null;
  const url = unix === null ? urlOf(target.address, path) : new URL(path, 'http://localhost');
  const authorization = target.token === null ? {} : { authorization: `Bearer ${target.token}` };
  const options: RequestOptions = {
    headers: { accept: 'application/json', ...authorization },
    timeout: timeoutMs,
    agent: false,
    ...(unix === null ? {} : { socketPath: unix }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, options, (incoming) => {
      text(incoming).then((body) => resolve({ status: incoming.statusCode ?? 0, body }), reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
}

const reasonOf = (error: unknown): string => {
  const cause = error instanceof AggregateError ? error.errors[0] : error;
  return cause instanceof Error ? cause.message : String(cause);
};

/** Throws CommandError: `unreachable` if nothing answers as the admin API does, with what to do about it. */
export async function readAdmin(target: AdminTarget, path: string): Promise<unknown> {
  const unreachable = (what: string): CommandError =>
    new CommandError(`Cannot read ${path} from the admin API at ${target.address}: ${what}`, exitCode.unreachable);
  let answer: Answer;
  try {
    answer = await send(target, path);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw unreachable(`${reasonOf(error)}. Is evenkeel running? Name another address with --admin.`);
  }
  if (answer.status === 401 || answer.status === 403) {
    throw unreachable(`it answers ${answer.status}. Give its token with --token or in EVENKEEL_ADMIN_TOKEN.`);
  }
  if (answer.status !== 200) throw unreachable(`it answers ${answer.status}. Is that evenkeel's admin address?`);
  try {
    return JSON.parse(answer.body);
  } catch {
    throw unreachable("its answer is not JSON. Is that evenkeel's admin address?");
  }
}
