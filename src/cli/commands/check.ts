/** `evenkeel check`: is this config good? All its problems at once, in the words of the file. */
import type { Command } from 'commander';
import type { Config, Problem } from '../../config/model.ts';
import { adviceFor, thisMachine } from '../advice.ts';
import { count, findConfig, writeProblems } from '../config-file.ts';
import { exitCode } from '../exit.ts';
import { failoverAdvice } from '../failover-advice.ts';

interface Options {
  readonly config?: string;
  readonly json?: true;
}

const summary = (config: Config): string => {
  const nodes = config.pools.reduce((sum, pool) => sum + pool.nodes.length, 0);
  const parts = [count(config.listen.length, 'listener'), count(config.pools.length, 'pool'), count(nodes, 'node')];
  return [...parts, count(config.routes.length, 'route')].join(', ');
};

const verdict = (problems: readonly Problem[]): string => {
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  const warnings = problems.length - errors;
  return `${count(errors, 'error')}${warnings > 0 ? `, ${count(warnings, 'warning')}` : ''}`;
};

const notesOn = (config: Config): string[] => [...adviceFor(config, thisMachine()), ...failoverAdvice(config)];

async function check(options: Options): Promise<void> {
  const file = findConfig(options.config);
  const { loadConfigFile } = await import('../../config/io/load.ts');
  const loaded = await loadConfigFile(file, { env: process.env, now: new Date() });
  const problems = loaded.ok ? loaded.value.warnings : loaded.error;
  if (!loaded.ok) process.exitCode = exitCode.failed;
  const advice = loaded.ok ? notesOn(loaded.value.config) : [];
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ ok: loaded.ok, file, problems, advice }, null, 2)}\n`);
    return;
  }
  writeProblems(process.stdout, problems);
  if (problems.length > 0) process.stdout.write('\n');
  process.stdout.write(
    loaded.ok ? `${file} is valid: ${summary(loaded.value.config)}\n` : `${file}: ${verdict(problems)}\n`,
  );
  for (const line of advice) process.stdout.write(`note: ${line}\n`);
}

export function addCheck(program: Command): void {
  program
    .command('check')
    .description('check a config file and show all its problems; exits 0 if it is valid, 1 if not')
    .option('-c, --config <file>', 'the file (default: ./config.yaml, then /etc/evenkeel/config.yaml)')
    .option('--json', 'as JSON: { ok, file, problems, advice }')
    .action(check);
}
