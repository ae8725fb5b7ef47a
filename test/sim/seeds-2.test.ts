import { simulate } from './run.ts';

simulate(126, 125);
