/** Engines in workers of their own, in front of the same nodes on one port. */
import { Worker } from 'node:worker_threads';
import type { PoolRow } from '../../src/routing/snapshot.ts';
import { Scoreboard } from '../../src/scoreboard/scoreboard.ts';
import { freePort } from '../helpers/ports.ts';
import type { RawNode } from '../helpers/raw-node.ts';
import type { Scope } from '../helpers/scope.ts';
import { node as nodeRow, pool as poolRow, route as routeRow, settings } from '../routing/fixtures.ts';
import type { EngineStart } from './engine-thread.ts';
import { setNode } from './fixtures.ts';

export interface EngineThreads {
  readonly board: Scoreboard;
  readonly port: number;
  readonly workers: readonly Worker[];
  /** Exceptions that guards caught. */
  readonly threw: readonly string[];
}

export async function startEngines(
  scope: Scope,
  nodes: readonly RawNode[],
  options: { readonly threads: number; readonly pool: Partial<PoolRow> },
): Promise<EngineThreads> {
  const board = Scoreboard.create(options.threads);
  const port = await freePort();
  const rows = nodes.map((node, slot) => ({
    ...nodeRow('app', `n-${slot}`, slot),
    address: { kind: 'tcp', host: '127.0.0.1', port: node.port } as const,
  }));
  for (const { slot } of rows) setNode(board, slot);
  const tables = {
    settings: { ...settings, accessLog: false },
    pools: [poolRow('app', nodes.length, options.pool)],
    nodes: new Map([['app', rows]]),
    routes: [routeRow('r')],
    listeners: { test: 0 },
  };
  const threw: string[] = [];
  const workers: Worker[] = [];
  for (let thread = 0; thread < options.threads; thread++) {
    const workerData: EngineStart = { thread, buffers: board.buffers, tables, port };
    const worker = new Worker(new URL('./engine-thread.ts', import.meta.url), { workerData });
    scope.own({ stop: () => worker.terminate().then(() => {}) });
    worker.on('message', (message: { threw?: string }) => message.threw && threw.push(message.threw));
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    workers.push(worker);
  }
  return { board, port, workers, threw };
}
