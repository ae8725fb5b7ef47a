/**
 * A data thread whose engine does what the real one must never do, on request: the rest (worker, messages, snapshots,
 * scoreboard, outbox) is the real thing. One command per line of a connection; it answers with one line.
 *
 *   row      its row                       hold     counts a request in flight on node slot 0, for as long as it lives
 *   version  of the snapshot in force      throw    an exception that nobody catches
 *   spin     never returns                 eat      memory, until there is none
 *   refused  tells of a refused connection
 */
import { createServer, type Server, type Socket } from 'node:net';
import { runDataThread } from '../../src/app/data-plane.ts';
import type { EngineContract, EngineOptions } from '../../src/proxy/io/engine.ts';
import type { ListenerSpec, Snapshot } from '../../src/routing/snapshot.ts';
import { threadCell } from '../../src/scoreboard/layout.ts';
import { threadLine } from '../../src/scoreboard/scoreboard.ts';

/** In bites: on a slow machine the whole meal takes longer than a heart may stand still. */
function eat(eaten: string[][]): void {
  for (let i = 0; i < 10; i++) eaten.push(new Array(100_000).fill('x'));
  setImmediate(eat, eaten);
}

class FaultyEngine implements EngineContract {
  readonly #options: EngineOptions;
  readonly #line: number;
  readonly #servers = new Map<number, Server[]>();
  readonly #sockets = new Set<Socket>();
  #version = 0;
  #draining = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#line = threadLine(options.thread);
    setInterval(() => {
      this.#lines[this.#line + threadCell.heartbeat]! += 1;
    }, 50);
  }

  get #lines(): Int32Array {
    return this.#options.scoreboard.lines;
  }

  swap(snapshot: Snapshot): void {
    this.#version = snapshot.version;
    this.#lines[this.#line + threadCell.oldestHeld] = snapshot.version;
  }

  async listen(spec: ListenerSpec): Promise<void> {
    const servers = await Promise.all(Array.from({ length: spec.sockets }, () => this.#open(spec)));
    this.#servers.set(spec.slot, servers);
  }

  renew(): void {
    throw new Error('it has no TLS');
  }

  useTicketKeys(): void {}
  useTokenKey(): void {}

  async unlisten(slot: number): Promise<void> {
    for (const server of this.#servers.get(slot) ?? []) server.close();
    this.#servers.delete(slot);
  }

  drain(): void {
    this.#draining = true;
    for (const slot of [...this.#servers.keys()]) void this.unlisten(slot);
    this.#afterClose();
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(spec: ListenerSpec): Promise<Server> {
    return new Promise((resolve, reject) => {
      const server = createServer((socket) => this.#serve(socket));
      server.once('error', reject);
      const where = spec.address.kind === 'unix' ? { path: spec.address.path } : spec.address;
      server.listen({ ...where, reusePort: spec.reusePort, exclusive: true }, () => resolve(server));
    });
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setEncoding('latin1');
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#afterClose();
    });
    socket.on('data', (text) => socket.write(`${this.#obey(String(text).trim())}\n`));
  }

  #obey(command: string): string | number {
    switch (command) {
      case 'hold':
        return this.#options.scoreboard.addInFlight(this.#options.thread, 0, 1);
      case 'version':
        return this.#version;
      case 'refused':
        this.#options.onSignal({ pool: 'p', node: 'n', slot: 0, generation: 1, signal: 'refused', detail: 'refused' });
        return 'told';
      case 'throw':
        setImmediate(() => {
          throw new Error('a bug of ours');
        });
        return 'thrown';
      case 'eat':
        eat([]);
        return 'eating';
      case 'spin':
        setImmediate(() => {
          for (;;);
        });
        return 'spinning';
      default:
        return this.#options.thread;
    }
  }

  #afterClose(): void {
    if (this.#draining && this.#sockets.size === 0) this.#options.onDrained();
  }
}

runDataThread((options) => new FaultyEngine(options));
