import { balancerContract } from '../contract/balancer.contract.ts';

balancerContract({ algorithm: 'round-robin', tolerance: 0.01, startsAnywhere: true });
balancerContract({ algorithm: 'weighted', tolerance: 0.001, startsAnywhere: true });
// These level the load, in whole requests, not the shares: with one or two in flight per node the two differ.
balancerContract({ algorithm: 'least-connections', tolerance: 0.15, startsAnywhere: true });
balancerContract({ algorithm: 'random-two', tolerance: 0.15, startsAnywhere: true });
balancerContract({ algorithm: 'peak-ewma', tolerance: 0.15, startsAnywhere: true });
// Shares are those of the keys, which lie where their hashes fall; the bound on load evens them out.
balancerContract({ algorithm: 'consistent-hash', tolerance: 0.3, startsAnywhere: false });
