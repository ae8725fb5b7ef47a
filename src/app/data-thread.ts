/** Entry of a data thread: the engine, in a worker. Started by threads.ts. */
import { Engine } from '../proxy/io/engine.ts';
import { runDataThread } from './data-plane.ts';

runDataThread((options) => new Engine(options));
