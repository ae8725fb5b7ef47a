/** Lanes: listeners of one evenkeel process, each with a route to a pool of one raw recording node. */
import { type Evenkeel, type Settings, startEvenkeel } from '../helpers/evenkeel.ts';
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

export async function openLanes(scope: Scope): Promise<Lanes> {
  const nodes = await Promise.all(Array.from({ length: laneCount }, () => startRawNode(scope)));
  const settings = (addresses: readonly string[]): Settings => ({
    pools: Object.fromEntries(nodes.map((node, i) => [`lane-${i}`, lanePool(node.url)])),
    routes: addresses.map((address, i) => ({ listen: address, pool: `lane-${i}` })),
  });
  const evenkeel = await startEvenkeel(scope, settings, { listeners: laneCount - 1 });
  return new Lanes(
    evenkeel,
    nodes.map((node, i) => ({ node, port: evenkeel.ports[i]! })),
  );
}

/** What a case shows must come from the case: no probes, no ejection, no second try. */
const lanePool = (url: string): unknown => ({
  nodes: [url],
  health: false,
  passive: { consecutiveErrors: 0 },
  retry: { attempts: 1 },
});
