/**
 * A thread that says when: `node:timers` are good to a millisecond, a wait on a cell to some 50 microseconds. Posts the
 * number of beats that are due, each time some are.
 */
import { parentPort, workerData } from 'node:worker_threads';

export interface MetronomeOptions {
  /** performance.timeOrigin + performance.now() of the first beat, ms. */
  readonly from: number;
  readonly everyMs: number;
  readonly beats: number;
}

const { from, everyMs, beats } = workerData as MetronomeOptions;
const cell = new Int32Array(new SharedArrayBuffer(4));
const now = (): number => performance.timeOrigin + performance.now();

for (let told = 0; told < beats; ) {
  const due = Math.min(beats, Math.floor((now() - from) / everyMs) + 1);
  if (due > told) {
    told = due;
    parentPort?.postMessage(told);
  } else Atomics.wait(cell, 0, 0, Math.max(0.01, from + told * everyMs - now()));
}
