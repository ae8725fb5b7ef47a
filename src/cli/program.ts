/**
 * The command line: one file per command under commands/, tied together here. Every error ends as one line on standard
 * error and one of the numbers in exit.ts; a stack trace means a bug of ours.
 */
import { Command, CommanderError } from 'commander';
import { ownVersion } from '../app/version.ts';
import { addCheck } from './commands/check.ts';
import { addCluster } from './commands/cluster.ts';
import { addConfig } from './commands/config.ts';
import { addDemo } from './commands/demo.ts';
import { addFailover } from './commands/failover.ts';
import { addLease } from './commands/lease.ts';
import { addLock } from './commands/lock.ts';
import { addRun } from './commands/run.ts';
import { addSchema } from './commands/schema.ts';
import { addState } from './commands/state.ts';
import { addStatus } from './commands/status.ts';
import { addVersion } from './commands/version.ts';
import { addWitness } from './commands/witness.ts';
import { CommandError, exitCode } from './exit.ts';

const about = `HA-aware reverse proxy and load balancer: routes each request only to a healthy app node.

Exit codes: 0 done, 1 refused, failed or could not start, 2 usage, 3 a pool has no fit node, its writes are not sent or the \
cluster has no quorum, 4 admin API not reachable.`;

function buildProgram(): Command {
  const program = new Command('evenkeel')
    .description(about)
    .version(ownVersion(), '-V, --version', 'print the version')
    .exitOverride();
  const commands = [
    addRun,
    addWitness,
    addCheck,
    addDemo,
    addStatus,
    addCluster,
    addFailover,
    addState,
    addLease,
    addLock,
    addConfig,
    addSchema,
    addVersion,
  ];
  for (const add of commands) add(program);
  leadToHelp(program, 'evenkeel');
  return program;
}

/** Who mistypes a command is led to the help of that very command. */
function leadToHelp(command: Command, name: string): void {
  const readsFile = command.options.some(({ long }) => long === '--config') && command.registeredArguments.length === 0;
  const hint = readsFile ? 'a config file is named with -c FILE; ' : '';
  command.showHelpAfterError(`(${hint}${name} --help lists what there is)`);
  for (const child of command.commands) leadToHelp(child, `${name} ${child.name()}`);
}

/** Runs the command that argv names. Never rejects; sets process.exitCode. */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader that has seen enough (`evenkeel schema | head -1`) is no error, and must never end a running proxy.
  process.stdout.on('error', () => undefined);
  try {
    await buildProgram().parseAsync([...argv]);
  } catch (error) {
    // Commander has printed its own message already. Help and version end with code 0.
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? exitCode.ok : exitCode.usage;
    else if (error instanceof CommandError) {
      process.stderr.write(`${error.message}\n`);
      process.exitCode = error.code;
    } else {
      process.stderr.write(`evenkeel failed: ${error instanceof Error ? error.stack : String(error)}\n`);
      process.exitCode = exitCode.failed;
    }
  }
}
