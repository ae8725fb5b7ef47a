/** Where a benchmark happens: a temporary folder, ports, and everything that must be ended when it is over. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Stoppable {
  stop(): Promise<void> | void;
}

/** Below the range that the kernel gives to outgoing connections, so that no client takes a port that is about to be used. */
const lowestPort = 12_000;
const highestPort = 32_000;

export class Place {
  readonly folder: string;
  readonly #owned = new Set<Stoppable>();
  #lastPort = lowestPort + Math.floor(Math.random() * (highestPort - lowestPort));
  #folders = 0;
  readonly #removeFolder = (): void => rmSync(this.folder, { recursive: true, force: true });

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'evenkeel-bench-'));
    process.on('exit', this.#removeFolder);
  }

  own<T extends Stoppable>(thing: T): T {
    this.#owned.add(thing);
    return thing;
  }

  async end(thing: Stoppable): Promise<void> {
    this.#owned.delete(thing);
    await thing.stop();
  }

  /** A name for a folder within `folder`; not made yet. */
  newFolder(name: string): string {
    this.#folders += 1;
    return join(this.folder, `${this.#folders}-${name}`);
  }

  /** A port that is free on loopback now, and was not given before by this place. */
  async port(): Promise<number> {
    for (let tries = 0; tries < 200; tries++) {
      this.#lastPort = this.#lastPort + 1 < highestPort ? this.#lastPort + 1 : lowestPort;
      if (await canBind(this.#lastPort)) return this.#lastPort;
    }
    throw new Error(`no free port between ${lowestPort} and ${highestPort} on 127.0.0.1 after 200 tries`);
  }

  /** Ends all that is owned, last first, and removes the folder. */
  async stop(): Promise<void> {
    for (const thing of [...this.#owned].reverse()) await this.end(thing);
    this.#removeFolder();
    process.off('exit', this.#removeFolder);
  }
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1' }, () => probe.close(() => resolve(true)));
  });
}
