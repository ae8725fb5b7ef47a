/** Child processes of tests: output kept line by line, ended by their own pid, none outlives the test process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { within } from './poll.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A channel for messages (process.send). */
  readonly ipc?: boolean;
  /** A program with its arguments that becomes ours by exec, so that the pid stays: `nsenter ... --`. */
  readonly through?: readonly string[];
}

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** A Node process that runs one of our sources, with the Node that runs the test. */
export class Child {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly exit: Promise<Exit>;
  /** What it wrote, as whole lines; the rest of an unfinished line is in `output()`. */
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  #exited: Exit | null = null;
  readonly #partial = { stdout: '', stderr: '' };

  constructor(file: string, options: ChildOptions = {}) {
    const [program, ...words] = [...(options.through ?? []), process.execPath, file, ...(options.args ?? [])];
    this.process = spawn(program!, words, {
      env: { ...process.env, NODE_NO_WARNINGS: '1', ...options.env },
      cwd: options.cwd,
      stdio: options.ipc ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
    });
    this.pid = this.process.pid ?? -1;
    alive.add(this.process);
    this.#keep('stdout');
    this.#keep('stderr');
    this.exit = new Promise((resolve) => {
      // 'close' comes after the last output, 'exit' may come before it.
      this.process.once('close', (code, signal) => {
        this.#exited = { code, signal };
        alive.delete(this.process);
        resolve(this.#exited);
      });
    });
  }

  /** null while it runs. */
  get exited(): Exit | null {
    return this.#exited;
  }

  /** Everything written so far, for error messages. */
  output(): string {
    return [...this.stdout, this.#partial.stdout, ...this.stderr, this.#partial.stderr].join('\n').trim();
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  async stop(): Promise<void> {
    if (this.#exited === null) this.process.kill('SIGKILL');
    await within(`end of process ${this.pid}`, this.exit);
  }

  #keep(name: 'stdout' | 'stderr'): void {
    const stream = this.process[name];
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      const lines = (this.#partial[name] + text).split('\n');
      this.#partial[name] = lines.pop() ?? '';
      this[name].push(...lines);
    });
  }
}

/** Resident memory of a process in bytes, as Linux tells it. */
export function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (line === null) throw new Error(`/proc/${pid}/status has no VmRSS line`);
  return Number(line[1]) * 1024;
}
