import { simulate } from './run.ts';

simulate(1, 125);
