/** Runs the real CLI as a user does from a checkout: `node src/cli/main.ts ARGS`, to its end. */
import { fileURLToPath } from 'node:url';
import { Child, type ChildOptions } from '../helpers/child.ts';

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
