/**
 * What the process costs: CPU, memory, file descriptors, and how late the control thread's event loop is. The first
 * ones carry the names that every Prometheus client uses (`process_...`), so that existing dashboards find them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { Family } from '../metrics-model.ts';

const noLabels = {};
const delayResolutionMs = 10;

/** null = not to be had on this system: the metric is left out. */
interface Reading {
  readonly cpuSeconds: number;
  readonly memory: NodeJS.MemoryUsage;
  readonly openFiles: number | null;
  readonly maxFiles: number | null;
  readonly delay: { readonly mean: number; readonly p99: number; readonly max: number };
}

export class ProcessMeter {
  readonly #delay: ReturnType<typeof monitorEventLoopDelay>;
  readonly #startedAt = performance.timeOrigin / 1000;
  #reading: Reading;

  constructor() {
    this.#delay = monitorEventLoopDelay({ resolution: delayResolutionMs });
    this.#delay.enable();
    this.#reading = this.#take();
  }

  /** Takes the numbers that the families tell next. Event-loop delay is that since the last call. */
  read(): void {
    this.#reading = this.#take();
    this.#delay.reset();
  }

  close(): void {
    this.#delay.disable();
  }

  get families(): readonly Family[] {
    const delay = (stat: 'mean' | 'p99' | 'max') => ({
      labels: { stat },
      sharedLabels: noLabels,
      value: this.#reading.delay[stat],
    });
    return [
      this.#one('process_start_time_seconds', 'When the process began.', 'gauge', () => this.#startedAt),
      this.#one('process_cpu_seconds_total', 'CPU time, all threads, user and system.', 'counter', (r) => r.cpuSeconds),
      this.#one('process_resident_memory_bytes', 'Resident memory.', 'gauge', (r) => r.memory.rss),
      this.#one('process_open_fds', 'Open file descriptors.', 'gauge', (r) => r.openFiles),
      this.#one('process_max_fds', 'File descriptors that may be open.', 'gauge', (r) => r.maxFiles),
      this.#one('evenkeel_control_heap_bytes', 'Heap of the control thread in use.', 'gauge', (r) => r.memory.heapUsed),
      this.#one(
        'evenkeel_control_external_bytes',
        'Memory outside the heap held by the control thread, shared memory included.',
        'gauge',
        (r) => r.memory.external,
      ),
      {
        name: 'evenkeel_control_loop_delay_seconds',
        help: "How late the control thread's event loop was since the last scrape.",
        type: 'gauge',
        samples: () => [delay('mean'), delay('p99'), delay('max')],
      },
    ];
  }

  #one(name: string, help: string, type: 'gauge' | 'counter', read: (reading: Reading) => number | null): Family {
    const samples: Family['samples'] = () => {
      const value = read(this.#reading);
      return value === null ? [] : [{ labels: noLabels, sharedLabels: noLabels, value }];
    };
    return { name, help, type, samples };
  }

  #take(): Reading {
    const cpu = process.cpuUsage();
    // The histogram counts the timer's own interval in.
    const seconds = (ns: number): number =>
      Number.isFinite(ns) ? Math.max(0, ns / 1e9 - delayResolutionMs / 1000) : 0;
    return {
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      memory: process.memoryUsage(),
      openFiles: countOpenFiles(),
      maxFiles: maxOpenFiles(),
      delay: {
        mean: seconds(this.#delay.mean),
        p99: seconds(this.#delay.percentile(99)),
        max: seconds(this.#delay.max),
      },
    };
  }
}

function countOpenFiles(): number | null {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return null; // no /proc here
  }
}

function maxOpenFiles(): number | null {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return limit === undefined ? null : Number(limit);
  } catch {
    return null; // no /proc here
  }
}
