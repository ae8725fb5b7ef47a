import { simulate } from './run.ts';

simulate(251, 125);
