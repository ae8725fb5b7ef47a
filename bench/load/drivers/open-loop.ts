/**
 * An open loop: request i is due at a fixed instant, whatever became of those before. Its latency counts from that
 * instant, not from when it could be sent, so a stall shows in every request that was due in it (no coordinated omission).
 * A request that is due while all connections wait for answers waits for one, and that counts as well.
 */
import { Worker } from 'node:worker_threads';
import type { Target } from '../ready.ts';
import { quantile } from '../statistics.ts';
import { Connection, requestText } from './connection.ts';
import type { MetronomeOptions } from './metronome.ts';

export interface OpenLoad {
  readonly target: Target;
  readonly path: string;
  /** Requests per second. */
  readonly rate: number;
  /** At most. */
  readonly connections: number;
  readonly seconds: number;
}

export interface OpenResult {
  readonly sent: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly errors: number;
}

/** Time for the last answers. */
const graceMs = 5000;

export async function runOpen(load: OpenLoad): Promise<OpenResult> {
  const loop = new OpenLoop(load);
  try {
    return await loop.run();
  } finally {
    loop.close();
  }
}

class OpenLoop {
  readonly #load: OpenLoad;
  readonly #text: string;
  readonly #all = new Set<Connection>();
  readonly #free: Connection[] = [];
  /** Instants at which those that wait for a connection were due. */
  readonly #waiting: number[] = [];
  readonly #latencies: number[] = [];
  #errors = 0;
  #opening = 0;

  constructor(load: OpenLoad) {
    this.#load = load;
    this.#text = requestText(load.path);
  }

  async run(): Promise<OpenResult> {
    const beats = Math.floor(this.#load.rate * this.#load.seconds);
    const everyMs = 1000 / this.#load.rate;
    const from = performance.timeOrigin + performance.now() + 100;
    const start = from - performance.timeOrigin;
    const workerData: MetronomeOptions = { from, everyMs, beats };
    const metronome = new Worker(new URL('./metronome.ts', import.meta.url), { workerData });
    let told = 0;
    metronome.on('message', (due: number) => {
      for (; told < due; told++) this.#send(start + told * everyMs);
    });
    await new Promise<void>((resolve, reject) => {
      metronome.once('exit', () => resolve());
      metronome.once('error', reject);
    });
    const deadline = performance.now() + graceMs;
    while (this.#latencies.length + this.#errors < told && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const lost = told - this.#latencies.length;
    const [p50, p99, p999] = [0.5, 0.99, 0.999].map((q) => quantile(this.#latencies, q)) as [number, number, number];
    return { sent: told, p50, p99, p999, errors: lost };
  }

  close(): void {
    for (const one of this.#all) one.close();
  }

  #send(due: number): void {
    const free = this.#free.pop();
    if (free !== undefined) this.#ask(free, due);
    else {
      this.#waiting.push(due);
      if (this.#opening < this.#waiting.length && this.#all.size < this.#load.connections) this.#open();
    }
  }

  readonly #due = new Map<Connection, number>();

  #ask(connection: Connection, due: number): void {
    this.#due.set(connection, due);
    connection.ask(this.#text);
  }

  #open(): void {
    this.#opening += 1;
    let open = false;
    const connection = new Connection(this.#load.target, {
      onOpen: () => {
        open = true;
        this.#opening -= 1;
        this.#freed(connection);
      },
      onAnswer: (status) => {
        if (status === 200) this.#latencies.push(performance.now() - this.#due.get(connection)!);
        else this.#errors += 1;
        this.#due.delete(connection);
        this.#freed(connection);
      },
      onEnd: (wanted) => {
        if (wanted) return;
        if (!open) this.#opening -= 1;
        if (this.#due.delete(connection)) this.#errors += 1;
        this.#all.delete(connection);
        const at = this.#free.indexOf(connection);
        if (at >= 0) this.#free.splice(at, 1);
      },
    });
    connection.listen();
    this.#all.add(connection);
  }

  #freed(connection: Connection): void {
    const due = this.#waiting.shift();
    if (due === undefined) this.#free.push(connection);
    else this.#ask(connection, due);
  }
}
