import { simulateFailover } from './failover/run.ts';

simulateFailover(376, 125);
