import { simulateFailover } from './failover/run.ts';

simulateFailover(1, 125);
