/** The log of a process of its own, on a standard error that takes everything, nothing, or only so much. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { within } from '../helpers/poll.ts';
import { testScope } from '../helpers/scope.ts';

const script = fileURLToPath(new URL('./log-lines.ts', import.meta.url));

/** What it said on standard output, and how it ended. */
async function run(lines: number, stderr: number | 'pipe'): Promise<{ said: string; code: number | null }> {
  const child = spawn(process.execPath, [script, String(lines)], { stdio: ['ignore', 'pipe', stderr] });
  testScope().own({ stop: () => void child.kill('SIGKILL') });
  let said = '';
  child.stdout!.on('data', (bytes) => {
    said += bytes;
  });
  // Not 'close': a pipe that is not read has no end.
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const code = await within('the end of the process', ended);
  return { said, code };
}

it('a log on a full disk costs its lines: nothing is thrown, and the process ends', async () => {
  const full = openSync('/dev/full', 'w');
  try {
    expect(await run(3, full)).toEqual({ said: '0 uncaught\n', code: 0 });
  } finally {
    closeSync(full);
  }
});

it('a log that nobody reads keeps no process from its end', async () => {
  // More than a pipe holds.
  expect(await run(2000, 'pipe')).toEqual({ said: '0 uncaught\n', code: 0 });
});

it('a log in a file is whole and in order', async () => {
  const file = join(await testScope().folder(), 'log');
  const written = openSync(file, 'w');
  try {
    expect((await run(2000, written)).code).toBe(0);
  } finally {
    closeSync(written);
  }
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const messages = lines.map((line) => (JSON.parse(line) as { message: string }).message);
  expect(messages).toEqual(Array.from({ length: 2000 }, (_, line) => `line ${line}`));
});
