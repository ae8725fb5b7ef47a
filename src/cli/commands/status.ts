/** `evenkeel status`: what a running evenkeel says of its listeners, pools and nodes. */
import type { Command } from 'commander';
import type { Stats } from '../../observe/stats-model.ts';
import { readAdmin } from '../admin-client.ts';
import { CommandError, exitCode } from '../exit.ts';
import { drawStatus } from '../status-table.ts';

interface Options {
  readonly admin: string;
  readonly token?: string;
  readonly json?: true;
}

const defaultAdmin = '127.0.0.1:9090';

const isStats = (answer: unknown): answer is Stats =>
  typeof answer === 'object' && answer !== null && 'pools' in answer && Array.isArray(answer.pools);

async function status(options: Options): Promise<void> {
  const token = options.token ?? process.env['EVENKEEL_ADMIN_TOKEN'] ?? null;
  const stats = await readAdmin({ address: options.admin, token }, '/stats');
  if (!isStats(stats))
    throw new CommandError(
      `${options.admin} answers, but not with stats. Is that evenkeel's admin address?`,
      exitCode.unreachable,
    );
  process.stdout.write(options.json === true ? `${JSON.stringify(stats, null, 2)}\n` : drawStatus(stats));
  if (stats.pools.some((pool) => pool.fit === 0)) process.exitCode = exitCode.unhealthy;
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .description('show listeners, pools and nodes of a running evenkeel; exits 3 if a pool has no fit node')
    .option('--admin <address>', 'its admin API: host:port, a URL, or unix:/path', defaultAdmin)
    .option('--token <token>', 'admin token (or EVENKEEL_ADMIN_TOKEN)')
    .option('--json', 'print GET /stats as it is')
    .action(status);
}
