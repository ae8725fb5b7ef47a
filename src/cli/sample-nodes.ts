/**
 * The sample app nodes of `evenkeel demo`: one process each, so that a user can kill one. A node that died is started
 * again after a pause, so that its return can be watched too. When the parent ends, whatever way, they end.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { CommandError, exitCode } from './exit.ts';
import type { SampleNews } from './sample-node.ts';

export interface SampleNodesOptions {
  /** Each gets a node; 0 = any free one. */
  readonly ports: readonly number[];
  readonly restartAfterMs: number;
  /** One line for the user: a node died, a node is back. */
  readonly say: (line: string) => void;
}

export interface SampleNode {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
}

// Spelled out twice, since the compiler rewrites imports to .js but not URLs.
const entry = import.meta.url.endsWith('.ts')
  ? new URL('./sample-node.ts', import.meta.url)
  : new URL('./sample-node.js', import.meta.url);

const portTaken = (port: number): string =>
  `port ${port} is taken by another process; stop that (ss -ltnp 'sport = :${port}' shows it), or choose another port`;

export class SampleNodes {
  readonly #options: SampleNodesOptions;
  readonly #children = new Set<ChildProcess>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #stopped = false;

  constructor(options: SampleNodesOptions) {
    this.#options = options;
  }

  /** Starts all; rejects with a CommandError that names the port if one is taken, and then none is left running. */
  async start(): Promise<readonly SampleNode[]> {
    try {
      return await Promise.all(this.#options.ports.map((port, index) => this.#startOne(`app-${index + 1}`, port)));
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const child of this.#children) child.kill('SIGKILL');
  }

  #startOne(name: string, port: number): Promise<SampleNode> {
    const child = fork(entry, [name, String(port)], { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#children.add(child);
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => reject(new CommandError(`Cannot start ${name}: ${why}`, exitCode.failed));
      child.once('error', (error) => fail(error.message));
      child.once('message', (news: SampleNews) => {
        if (news.kind === 'failed') return fail(news.code === 'EADDRINUSE' ? portTaken(port) : news.code);
        child.once('exit', (code, signal) =>
          this.#died({ name, port: news.port, pid: child.pid ?? 0 }, signal ?? code),
        );
        resolve({ name, port: news.port, pid: child.pid ?? 0 });
      });
      child.once('exit', () => {
        this.#children.delete(child);
        fail('its process ended at once');
      });
    });
  }

  #died(node: SampleNode, how: string | number | null): void {
    if (this.#stopped) return;
    const { restartAfterMs, say } = this.#options;
    say(
      `${node.name} on port ${node.port} (pid ${node.pid}) ended: ${how}. It starts again in ${restartAfterMs / 1000} s.`,
    );
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#startOne(node.name, node.port).then(
        (back) => say(`${back.name} on port ${back.port} is back, pid ${back.pid}.`),
        (error: Error) => say(error.message),
      );
    }, restartAfterMs);
    this.#timers.add(timer);
  }
}
