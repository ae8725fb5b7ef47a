import { simulateFailover } from './failover/run.ts';

simulateFailover(251, 125);
