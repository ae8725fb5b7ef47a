import { simulateFailover } from './failover/run.ts';

simulateFailover(126, 125);
