import { simulate } from './run.ts';

simulate(376, 125);
