/**
 * `evenkeel lock run NAME -- COMMAND`: runs a command while this process holds a lock of the cluster. The command gets
 * the fencing token in EVENKEEL_LOCK_TOKEN; it ends with the lock: SIGTERM if that is lost, SIGKILL 5 s later. The
 * lock rests for 15 s after it was lost, so nobody else has it before. Not handled: SIGKILL of this process itself leaves
 * the command running without the lock; what the lock guards should refuse a token that is not the highest it has seen.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { constants, hostname } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../../base/units.ts';
import { CommandError, exitCode } from '../exit.ts';
import { type AdminOptions, printJson, targetOf, withAdmin } from '../ha-client.ts';
import { HeldLock } from '../held-lock.ts';

interface Options extends AdminOptions {
  readonly ttl: number;
  readonly wait: number;
  readonly owner?: string;
}

const killAfterMs = 5000;
const ttlMin = 1000;
const waitMax = 600_000;

const duration =
  (min: number, max: number) =>
  (given: string): number => {
    const parsed = parseDuration(given);
    if (!parsed.ok) throw new InvalidArgumentError(`It ${parsed.error}.`);
    if (parsed.value >= min && parsed.value <= max) return parsed.value;
    throw new InvalidArgumentError(`It must be from ${min / 1000} s to ${max / 1000} s.`);
  };

/** As a shell says it: 128 and the number of the signal. */
function endOf(child: ChildProcess, command: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    child.once('error', (error) => reject(cannotRun(command, error)));
  });
}

function cannotRun(command: string, { code, message }: NodeJS.ErrnoException): CommandError {
  const isAbsent = code === 'ENOENT';
  const what = command === '' ? 'a command without a name' : command;
  return new CommandError(
    `Cannot run ${what}: ${isAbsent ? 'there is no such command' : message}`,
    isAbsent ? 127 : 126,
  );
}

async function underLock(lock: HeldLock, name: string, command: readonly string[]): Promise<number> {
  const [file = '', ...args] = command;
  const env = { ...process.env, EVENKEEL_LOCK_NAME: name, EVENKEEL_LOCK_TOKEN: String(lock.token) };
  let child: ChildProcess;
  try {
    child = spawn(file, args, { stdio: 'inherit', env });
  } catch (error) {
    // Some refusals are thrown, others are an event of the child.
    await lock.release();
    throw cannotRun(file, error as NodeJS.ErrnoException);
  }
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  const ignore = (): void => {}; // a terminal's Ctrl-C reaches the command by itself
  process.on('SIGTERM', forward).on('SIGHUP', forward).on('SIGINT', ignore);
  let isLost = false;
  let killer: NodeJS.Timeout | undefined;
  void lock.lost.then((why) => {
    isLost = true;
    process.stderr.write(`The lock ${name} is lost: ${why}. The command is ended.\n`);
    child.kill('SIGTERM');
    killer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  });
  try {
    const code = await endOf(child, file);
    return isLost ? exitCode.failed : code;
  } finally {
    clearTimeout(killer);
    process.off('SIGTERM', forward).off('SIGHUP', forward).off('SIGINT', ignore);
    const why = isLost ? null : await lock.release();
    if (why !== null) process.stderr.write(`The lock ${name} was not released, it ends by itself: ${why}\n`);
  }
}

async function run(name: string, command: readonly string[], options: Options): Promise<void> {
  // Never the owner of another run: that would be let in beside it.
  const owner = `${options.owner ?? `${hostname()}/${process.pid}`}/${randomUUID()}`;
  const wish = { name, owner, ttlMs: options.ttl, waitMs: options.wait };
  const lock = await HeldLock.acquire(targetOf(options), wish);
  const code = await underLock(lock, name, command);
  if (options.json === true) printJson({ name, owner, token: lock.token, code });
  process.exitCode = code;
}

export function addLock(program: Command): void {
  withAdmin(program.command('lock').description('locks of the cluster').command('run'))
    .description('run a command while holding a lock; exits with its code, 1 if the lock is taken or was lost')
    .argument('<name>', 'of the lock')
    .argument('<command...>', 'after --; gets the fencing token in EVENKEEL_LOCK_TOKEN')
    .addOption(
      new Option('--ttl <duration>', 'it is lost if it can not be extended for so long')
        .argParser(duration(ttlMin, 86_400_000))
        .default(30_000, '30s'),
    )
    .option('--wait <duration>', 'wait for it for so long', duration(0, waitMax), 0)
    .option('--owner <name>', 'who holds it, as others see it; a random part is added (default: host and process)')
    .action(run);
}
