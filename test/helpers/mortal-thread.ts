/** A data thread that serves as any other, and at `/spin` never returns, at `/eat` takes memory until there is none. */
import { runDataThread } from '../../src/app/data-plane.ts';
import { Engine } from '../../src/proxy/io/engine.ts';
import type { Snapshot } from '../../src/routing/snapshot.ts';

/** In bites: on a slow machine the whole meal takes longer than a heart may stand still. */
function eat(eaten: string[][]): void {
  for (let i = 0; i < 10; i++) eaten.push(new Array(100_000).fill('x'));
  setImmediate(eat, eaten);
}

class MortalEngine extends Engine {
  override swap(snapshot: Snapshot): void {
    super.swap({
      ...snapshot,
      match: (facts) => {
        if (facts.path === '/spin') for (;;);
        if (facts.path === '/eat') eat([]);
        return snapshot.match(facts);
      },
    });
  }
}

runDataThread((options) => new MortalEngine(options));
