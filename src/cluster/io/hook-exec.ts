/**
 * A hook by a program: no shell, a process group of its own, JSON on its standard input, and the same as EK_* in its
 * environment. Of what it prints 64 KiB are kept; it may print more, which is read and thrown away.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { type HookDone, type HookWords, hookOutputMax } from './hook-words.ts';

/** How long output is waited for after the program has ended: something that it started may hold it open. */
const outputWithinMs = 200;

/** Returns how to end it. */
export function execHook(argv: readonly string[], words: HookWords, done: HookDone): () => void {
  const [program = '', ...rest] = argv;
  const child = spawn(program, rest, { shell: false, detached: true, stdio: 'pipe', env: environment(words) });
  const [output, errors] = [keep(child.stdout), keep(child.stderr)];
  let exited = false;
  child.on('error', (error) => done({ ok: false, detail: `could not be started: ${error.message}` }));
  child.on('exit', (code, signal) => {
    exited = true;
    const finish = (): void => {
      const how = code === null ? `ended by ${signal}` : `exit code ${code}`;
      const said = code === 0 ? '' : `: ${lastLine(errors()) || lastLine(output())}`;
      done({ ok: code === 0, detail: `${how} in %t${said === ': ' ? '' : said}`, output: output() });
      for (const stream of child.stdio) stream?.destroy();
    };
    const late = setTimeout(finish, outputWithinMs);
    child.once('close', () => {
      clearTimeout(late);
      finish();
    });
  });
  // A program may end without reading what it is told.
  child.stdin.on('error', () => {});
  child.stdin.end(JSON.stringify(words));
  return () => {
    if (!exited) killGroup(child);
  };
}

function environment(words: HookWords): NodeJS.ProcessEnv {
  const own = Object.entries(words).map(([key, value]) => [`EK_${key.toUpperCase()}`, String(value)]);
  return { ...process.env, ...Object.fromEntries(own) };
}

/** Keeps the beginning, and lets the rest go by. Returns what was kept so far. */
function keep(stream: Readable): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    if (size < hookOutputMax) chunks.push(chunk.subarray(0, hookOutputMax - size));
    size += chunk.length;
  });
  stream.on('error', () => {});
  return () => Buffer.concat(chunks).toString('utf8');
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.slice(0, 200) ?? '';

function killGroup(child: ChildProcessWithoutNullStreams): void {
  for (const stream of child.stdio) stream?.destroy();
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended by itself just now.
    child.kill('SIGKILL');
  }
}
