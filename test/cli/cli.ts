/** Runs the real CLI as a user does from a checkout: `node src/cli/main.ts ARGS`, to its end. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Child, type ChildOptions } from '../helpers/child.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';

export const mainFile = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function cli(args: readonly string[], options: Omit<ChildOptions, 'args'> = {}): Promise<Ended> {
  const child = new Child(mainFile, { ...options, args });
  const { code } = await child.exit;
  return { code, stdout: textOf(child.stdout), stderr: textOf(child.stderr) };
}

const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

/** Whether a process has ended. One that nobody has asked for its end yet counts as ended: not every init asks. */
export function isGone(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

/** A free port whose next two are free as well. */
export async function threeFreePorts(): Promise<number> {
  const isFree = (port: number): Promise<boolean> =>
    new Promise((resolve) => {
      const server = createServer().once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
  return until('three free ports in a row', async () => {
    const first = await freePort();
    return (await isFree(first + 1)) && (await isFree(first + 2)) && first;
  });
}
