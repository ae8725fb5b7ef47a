/** Property tests draw new cases with each run; where a run is a gate, the same ones, so that it judges the change alone. */
import { configureGlobal } from 'fast-check';

if (process.env['CI'] !== undefined) configureGlobal({ seed: 20_261_120 });
