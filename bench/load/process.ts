/**
 * Processes of the benchmark. Each is the head of a group of its own, so that what it has forked ends with it; none
 * outlives the benchmark, whichever way that ends. What a process tree has used is read from /proc.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** USER_HZ, the unit of /proc/PID/stat: 100 on every architecture that Node runs on. */
const ticksPerSecond = 100;
const keptOutput = 4000;

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Usage {
  /** Microseconds since the start of the tree. */
  readonly userUs: number;
  readonly systemUs: number;
}

const running = new Set<Process>();
process.on('exit', () => {
  for (const one of running) one.kill('SIGKILL');
});

export class Process {
  readonly pid: number;
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  #alive = true;
  #output = '';
  #stdout = '';

  constructor(command: Command) {
    this.#child = spawn(command.file, command.args, {
      env: { ...process.env, NODE_NO_WARNINGS: '1', ...command.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.pid = this.#child.pid ?? -1;
    running.add(this);
    this.#child.stdout?.on('data', (piece: Buffer) => this.#keep(piece, true));
    this.#child.stderr?.on('data', (piece: Buffer) => this.#keep(piece, false));
    this.ended = new Promise((resolve) => {
      const end = (why: unknown): void => {
        if (why instanceof Error) this.#output += why.message;
        this.#alive = false;
        running.delete(this);
        resolve();
      };
      this.#child.once('error', end);
      this.#child.once('close', end);
    });
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** All of standard output, if it is short: for drivers. */
  get stdout(): string {
    return this.#stdout;
  }

  /** The last of what it wrote, for messages. */
  get output(): string {
    return this.#output.trim();
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** To the whole group. */
  kill(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // It has ended already.
    }
  }

  /** To the process alone, as an operator would. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    if (!this.#alive) return;
    this.kill('SIGTERM');
    await Promise.race([this.ended, pause(3000, undefined, { ref: false })]);
    this.kill('SIGKILL');
    await this.ended;
  }

  #keep(piece: Buffer, stdout: boolean): void {
    const text = piece.toString('latin1');
    if (stdout && this.#stdout.length < 1_000_000) this.#stdout += text;
    this.#output = (this.#output + text).slice(-keptOutput);
  }
}

/** CPU of a process and all below it, those that have ended and were waited for included. */
export function usageOf(pid: number): Usage {
  let user = 0;
  let system = 0;
  for (const fields of treeOf(pid)) {
    user += Number(fields[11]) + Number(fields[13]);
    system += Number(fields[12]) + Number(fields[14]);
  }
  return { userUs: (user * 1e6) / ticksPerSecond, systemUs: (system * 1e6) / ticksPerSecond };
}

/** Resident memory of a process and all below it, bytes. Pages that they share are counted for each. */
export function residentOf(pid: number): number {
  let bytes = 0;
  for (const fields of treeOf(pid)) {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readSafe(`/proc/${fields.pid}/status`));
    bytes += Number(line?.[1] ?? 0) * 1024;
  }
  return bytes;
}

type Stat = string[] & { pid: number };

/** The fields of /proc/PID/stat behind the name, which may hold blanks and brackets: [0] is the state, [1] the parent. */
function treeOf(root: number): Stat[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const text = readSafe(`/proc/${name}/stat`);
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return text === '' ? [] : [Object.assign(fields, { pid: Number(name) })];
    });
  const tree = all.filter((stat) => stat.pid === root);
  for (let i = 0; i < tree.length; i++) tree.push(...all.filter((stat) => Number(stat[1]) === tree[i]!.pid));
  return tree;
}

/** Empty if the process has just ended. */
function readSafe(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
