/** A data thread that serves as any other, and at `/spin` never returns, at `/eat` takes memory until there is none. */
import { runDataThread } from '../../src/app/data-plane.ts';
import { Engine } from '../../src/proxy/io/engine.ts';
import type { Snapshot } from '../../src/routing/snapshot.ts';

class MortalEngine extends Engine {
  override swap(snapshot: Snapshot): void {
    super.swap({
      ...snapshot,
      match: (facts) => {
        if (facts.path === '/spin') for (;;);
        if (facts.path === '/eat') for (const eaten: string[][] = []; ; ) eaten.push(new Array(100_000).fill('x'));
        return snapshot.match(facts);
      },
    });
  }
}

runDataThread((options) => new MortalEngine(options));
