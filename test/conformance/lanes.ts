/** Lanes: listeners of one evenkeel process, each with a route to a pool of one raw recording node. */
import { writeFile } from 'node:fs/promises';
import { renewedCert, renewedKey } from '../app/certificate.ts';
import { type Evenkeel, type Settings, startEvenkeel } from '../helpers/evenkeel.ts';
import { until } from '../helpers/poll.ts';
import { startRawNode } from '../helpers/raw-node.ts';
import type { Scope } from '../helpers/scope.ts';
import type { Lane } from './judge.ts';

const laneCount = 4;

export class Lanes {
  readonly evenkeel: Evenkeel;
  readonly #free: Lane[];
  readonly #waiting: ((lane: Lane) => void)[] = [];

  constructor(evenkeel: Evenkeel, lanes: readonly Lane[]) {
    this.evenkeel = evenkeel;
    this.#free = [...lanes];
  }

  /** Runs with a lane that nobody else uses meanwhile. */
  async with<T>(use: (lane: Lane) => Promise<T>): Promise<T> {
    const lane = this.#free.pop() ?? (await new Promise<Lane>((resolve) => this.#waiting.push(resolve)));
    try {
      return await use(lane);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(lane);
      else next(lane);
    }
  }
}

/** `tls`: clients speak TLS to the listeners, with a certificate that nobody checks. */
export async function openLanes(scope: Scope, options: { readonly tls?: boolean } = {}): Promise<Lanes> {
  const nodes = await Promise.all(Array.from({ length: laneCount }, () => startRawNode(scope)));
  const tls = options.tls ? await certificate(scope) : null;
  const settings = (addresses: readonly string[]): Settings => ({
    timeouts: { head: '10m', body: '10m', keepAlive: '10m', write: '10m' },
    ...(tls === null ? {} : { listen: addresses.map((address) => ({ address, tls })) }),
    pools: Object.fromEntries(nodes.map((node, i) => [`lane-${i}`, lanePool(node.url)])),
    routes: addresses.map((address, i) => ({ listen: address, pool: `lane-${i}` })),
  });
  const evenkeel = await startEvenkeel(scope, settings, { listeners: laneCount - 1 });
  const lanes = nodes.map((node, i) => {
    const port = evenkeel.ports[i]!;
    return { node, where: tls === null ? port : { tls: port } };
  });
  return new Lanes(evenkeel, lanes);
}

/** Waits until nothing is in flight in any of the pools. */
export async function idle({ evenkeel }: Lanes): Promise<void> {
  await until('nothing in flight', async () => (await evenkeel.stats()).pools.every(({ active }) => active === 0));
}

async function certificate(scope: Scope): Promise<{ cert: string; key: string }> {
  const folder = await scope.folder();
  await Promise.all([writeFile(`${folder}/cert.pem`, renewedCert), writeFile(`${folder}/key.pem`, renewedKey)]);
  return { cert: `${folder}/cert.pem`, key: `${folder}/key.pem` };
}

/** What a case shows must come from the case: no probes, no ejection, no second try. */
const lanePool = (url: string): unknown => ({
  nodes: [url],
  health: false,
  passive: { consecutiveErrors: 0 },
  retry: { attempts: 1 },
  // Whatever ends must end by itself, not by a deadline.
  upstream: { connectTimeout: '5m', responseTimeout: '10m', bodyTimeout: '10m', idleTimeout: '10m' },
});
