/** An engine in a worker of its own, as a data thread has it, for tests in which control must not share its loop. */
import { parentPort, workerData } from 'node:worker_threads';
import { seededRandom } from '../../src/base/random.ts';
import { Engine } from '../../src/proxy/io/engine.ts';
import type { Tables } from '../../src/routing/compile.ts';
import { snapshotOf } from '../../src/routing/compile.ts';
import { Scoreboard, type ScoreboardBuffers } from '../../src/scoreboard/scoreboard.ts';

export interface EngineStart {
  readonly thread: number;
  readonly buffers: ScoreboardBuffers;
  readonly tables: Tables;
  readonly port: number;
}

/** Stands still for so many ms, or says something. */
export type ToEngine = { readonly stall: number };

const start = workerData as EngineStart;
const engine = new Engine({
  thread: start.thread,
  scoreboard: Scoreboard.attach(start.buffers),
  random: seededRandom(start.thread + 1),
  tokenKey: new Uint8Array(32),
  onSignal: () => {},
  onEvent: ({ event, message }) => {
    if (event === 'exchange-threw') parentPort!.postMessage({ threw: message });
  },
  onOutcome: () => {},
  onDrained: () => {},
});
engine.swap(snapshotOf(1, start.tables));
parentPort!.on('message', ({ stall }: ToEngine) => {
  const end = performance.now() + stall;
  while (performance.now() < end);
});
await engine.listen({
  slot: 0,
  name: 'test',
  address: { kind: 'tcp', host: '127.0.0.1', port: start.port },
  tls: null,
  sockets: 1,
  reusePort: true,
});
parentPort!.postMessage('listening');
