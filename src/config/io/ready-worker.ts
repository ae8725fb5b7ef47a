/** Entry of the thread that reads a large config: one job in, one answer out, and it ends. Started by ready.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { type ReadyAnswer, type ReadyJob, readyText } from './ready.ts';

if (parentPort === null) throw new Error('ready-worker.ts is the entry of a worker thread');
parentPort.postMessage((await readyText(workerData as ReadyJob)) satisfies ReadyAnswer);
