/** Which config file a command means, and its problems as a person or a program reads them. */
import { existsSync } from 'node:fs';
import type { WriteStream } from 'node:tty';
import type { Problem } from '../config/model.ts';
import { renderProblems } from '../config/render-problems.ts';
import { CommandError, exitCode } from './exit.ts';

/** Looked for in this order where no file is named. */
export const usualFiles: readonly string[] = ['config.yaml', '/etc/evenkeel/config.yaml'];

/** The named file, else the first of the usual ones that is there. */
export function findConfig(named: string | undefined): string {
  if (named !== undefined) return named;
  const found = usualFiles.find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new CommandError(
    `No config: neither ./${usualFiles.join(' nor ')} exists. Name a file with -c FILE; without any file: evenkeel run --to http://host:port`,
    exitCode.failed,
  );
}

/** Problems with place, source line and hint, in colours where the stream shows them. */
export function writeProblems(stream: WriteStream, problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const color = stream.isTTY === true && stream.hasColors() && process.env['NO_COLOR'] === undefined;
  stream.write(renderProblems(problems, { color }));
}

export const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
