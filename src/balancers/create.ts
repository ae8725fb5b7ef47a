/** The one place that knows all algorithms. */
import { assertNever } from '../base/assert.ts';
import { ConsistentHash } from './consistent-hash.ts';
import type { Balancer, BalancerOptions } from './contract.ts';
import { LeastConnections, maxScanned } from './least-connections.ts';
import { PeakEwma } from './peak-ewma.ts';
import { RandomTwo } from './random-two.ts';
import { RoundRobin } from './round-robin.ts';
import { Weighted } from './weighted.ts';
import { WeightedMany } from './weighted-many.ts';

/** The names of the config's `balance`. */
export type BalancerAlgorithm =
  | 'round-robin'
  | 'weighted'
  | 'least-connections'
  | 'random-two'
  | 'peak-ewma'
  | 'consistent-hash';

/** Call refresh() before the first pick. */
export function createBalancer(algorithm: BalancerAlgorithm, options: BalancerOptions): Balancer {
  switch (algorithm) {
    case 'round-robin':
      return new RoundRobin(options);
    case 'weighted':
      return options.group.size <= maxScanned ? new Weighted(options) : new WeightedMany(options);
    case 'least-connections':
      return new LeastConnections(options);
    case 'random-two':
      return new RandomTwo(options);
    case 'peak-ewma':
      return new PeakEwma(options);
    case 'consistent-hash':
      return new ConsistentHash(options);
    default:
      return assertNever(algorithm, 'balancer');
  }
}
