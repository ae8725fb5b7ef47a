/**
 * Writes the access log of one data thread, in batches, without ever holding traffic up.
 *
 *   write(outcome) -> line -> batch (memory) --each 100 ms or 64 KiB--> one fs.write at a time -> fd
 *
 * - Bounded: above `maxBytes` in memory a line is dropped and counted. A slow disk or a pipe that nobody reads costs
 *   lines, never latency and never memory.
 * - Not through process.stdout, which a thread would send through the main thread. Standard output is fd 1. A pipe is
 *   opened a second time without blocking, since a write that blocks would hold one of the few threads that libuv
 *   shares out to the whole process; a full pipe says EAGAIN then and is tried again.
 * - Several threads write to one place. A file takes each append whole; anything else only up to PIPE_BUF. So what is
 *   no file gets pieces of at most 4096 bytes that end where a line ends (a longer line goes alone, and is the one
 *   thing that another thread's lines could cut in two, when the pipe is full).
 * - A write that fails (disk full, reader gone) loses its batch, which is counted and said once until a write succeeds.
 */
import { close, constants, fstat, open, type Stats, write } from 'node:fs';
import type { Bytes, Millis } from '../../base/ids.ts';
import type { Outcome } from '../../proxy/outcome.ts';
import { type AccessFormat, createAccessFormatter } from '../access-log.ts';

export interface AccessWriterOptions {
  readonly format: AccessFormat | 'off';
  /** null = standard output. */
  readonly file: string | null;
  /** Lines that were lost, each time some were. */
  readonly onDrop: (lines: number) => void;
  /** What went wrong with which file, and what to do; once until it has come good. */
  readonly onProblem: (message: string) => void;
  /** Held in memory at most. Default 4 MiB. */
  readonly maxBytes?: Bytes;
  /** Longest time a line waits for others. Default 100 ms. */
  readonly flushAfter?: Millis;
}

export interface AccessWriter {
  write(outcome: Outcome): void;
  /** Opens the file by its name again, after it has been moved away (SIGUSR2). */
  reopen(): void;
  /** Another format or file from now on; what is in memory still goes out. */
  set(format: AccessFormat | 'off', file: string | null): void;
  /** Resolves when what was written before is out or counted as lost. */
  flush(): Promise<void>;
  /** As flush(), but gives up after a second; then closes the file. */
  close(): Promise<void>;
}

const defaultMaxBytes = 4 * 1024 * 1024;
const defaultFlushAfter = 100;
const batchBytes = 64 * 1024;
const filePiece = 256 * 1024;
const pipePiece = 4096;
const fullPipePauseMin = 2;
const fullPipePauseMax = 50;
const openAgainAfter = 1000;
const closeWithin = 1000;
const newline = 0x0a;
const nothing = Buffer.alloc(0);

/** Opening a FIFO without a reader fails at once instead of holding the thread. */
const openFlags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

interface Target {
  readonly fd: number;
  /** Not to be closed: fd 1 itself. */
  readonly borrowed: boolean;
  readonly piece: Bytes;
}

export function createAccessWriter(options: AccessWriterOptions): AccessWriter {
  const writer = new Writer(options);
  return {
    write: (outcome) => writer.write(outcome),
    reopen: () => writer.reopen(),
    set: (format, file) => writer.set(format, file),
    flush: () => writer.flush(),
    close: () => writer.close(),
  };
}

class Writer {
  readonly #options: AccessWriterOptions;
  readonly #maxBytes: Bytes;
  #file: string | null;
  #format: ((outcome: Outcome) => string) | null;
  #target: Target | null = null;
  #openWanted = true;
  /** Lines that no write has been begun for. Plain ASCII: characters are bytes. */
  #batch = '';
  /** What is being written, in pieces; `sent` bytes of it are out. `outNumber` tells one from the next. */
  #out: Buffer = nothing;
  #sent = 0;
  #outNumber = 0;
  /** The last byte that went out was not the end of a line. */
  #torn = false;
  /** A write, an open or a pause is under way. */
  #busy = false;
  #timer: NodeJS.Timeout | null = null;
  /** Ends the pause. Keeps the process alive, as a write would. */
  #resume: NodeJS.Timeout | null = null;
  #pause = fullPipePauseMin;
  /** Problems that were said and have not come good. */
  readonly #said = new Set<'open' | 'write'>();
  #closed = false;
  #waiting: { readonly outNumber: number; readonly resolve: () => void }[] = [];

  constructor(options: AccessWriterOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? defaultMaxBytes;
    this.#file = options.file;
    this.#format = options.format === 'off' ? null : createAccessFormatter(options.format);
    this.#pump();
  }

  write(outcome: Outcome): void {
    if (this.#format === null || this.#closed) return;
    const line = this.#format(outcome);
    if (this.#batch.length + this.#out.length + line.length > this.#maxBytes) {
      this.#options.onDrop(1);
      return;
    }
    this.#batch += line;
    if (this.#batch.length >= batchBytes) this.#pump();
    else this.#timer ??= setTimeout(() => this.#onTimer(), this.#options.flushAfter ?? defaultFlushAfter).unref();
  }

  reopen(): void {
    this.#openWanted = true;
    this.#pump();
  }

  set(format: AccessFormat | 'off', file: string | null): void {
    this.#format = format === 'off' ? null : createAccessFormatter(format);
    if (file !== this.#file) this.#openWanted = true;
    this.#file = file;
    this.#pump();
  }

  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ outNumber: this.#outNumber + (this.#batch === '' ? 0 : 1), resolve });
      this.#pump();
    });
  }

  async close(): Promise<void> {
    let deadline: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      deadline = setTimeout(resolve, closeWithin);
    });
    await Promise.race([this.flush(), late]);
    clearTimeout(deadline);
    this.#closed = true;
    this.#lose();
    this.#settle();
    if (this.#resume !== null) {
      clearTimeout(this.#resume);
      this.#busy = false;
    }
    if (!this.#busy) this.#closeTarget();
  }

  #onTimer(): void {
    this.#timer = null;
    this.#pump();
  }

  /** The next step, if none is under way: open, write the next piece, or rest. */
  #pump(): void {
    if (this.#busy) return;
    if (this.#closed) {
      this.#closeTarget();
      this.#settle();
      return;
    }
    if (this.#sent === this.#out.length) this.#takeBatch();
    const something = this.#out.length > 0;
    const betweenLines = this.#sent === 0 || !this.#torn;
    if (this.#openWanted && betweenLines && (something || this.#format !== null)) this.#open();
    else if (something && this.#target !== null) this.#writePiece(this.#target);
  }

  #takeBatch(): void {
    this.#settle();
    this.#sent = 0;
    if (this.#batch === '') {
      this.#out = nothing;
      return;
    }
    this.#outNumber++;
    // The rest of a torn line was lost: what follows begins on a line of its own.
    this.#out = Buffer.from(this.#torn ? `\n${this.#batch}` : this.#batch, 'latin1');
    this.#batch = '';
  }

  #writePiece(target: Target): void {
    this.#busy = true;
    const length = pieceEnd(this.#out, this.#sent, target.piece) - this.#sent;
    write(target.fd, this.#out, this.#sent, length, null, (error, written) => {
      this.#busy = false;
      if (error !== null) return this.#onWriteError(error);
      this.#sent += written;
      this.#torn = this.#out[this.#sent - 1] !== newline;
      this.#pause = fullPipePauseMin;
      this.#said.delete('write');
      this.#pump();
    });
  }

  #onWriteError(error: NodeJS.ErrnoException): void {
    if (error.code === 'EAGAIN' || error.code === 'EINTR') {
      this.#wait(this.#pause);
      this.#pause = Math.min(this.#pause * 2, fullPipePauseMax);
      return;
    }
    this.#say(
      'write',
      `cannot write to ${this.#name()}: ${error.message}; access log lines are lost until it can be written again`,
    );
    this.#lose();
    this.#pump();
  }

  /** Tries again after a pause. */
  #wait(pause: Millis): void {
    this.#busy = true;
    this.#resume = setTimeout(() => {
      this.#resume = null;
      this.#busy = false;
      this.#pump();
    }, pause);
  }

  #open(): void {
    this.#busy = true;
    this.#openWanted = false;
    openTarget(this.#file, (error, target) => {
      this.#busy = false;
      if (target !== null) {
        this.#closeTarget();
        this.#target = target;
        this.#torn = false;
        this.#said.delete('open');
        return this.#pump();
      }
      const kept = this.#target === null ? 'lines wait in memory' : 'the old file is written on';
      this.#say(
        'open',
        `cannot open ${this.#name()}: ${error?.message ?? 'unknown error'}; ${kept}, and it is tried again each second`,
      );
      this.#openAgainLater();
    });
  }

  #openAgainLater(): void {
    if (this.#target === null) {
      this.#openWanted = true;
      // Who waits for a flush is not held up by a file that can't be opened: its lines are lost now.
      if (this.#waiting.length > 0) {
        this.#lose();
        this.#settle();
      }
      this.#wait(openAgainAfter);
      return;
    }
    setTimeout(() => this.reopen(), openAgainAfter).unref();
    this.#pump();
  }

  /** All that is in memory is given up. */
  #lose(): void {
    let lines = this.#batch.split('\n').length - 1;
    for (let i = this.#sent; i < this.#out.length; i++) if (this.#out[i] === newline) lines++;
    // No line is empty: this one only ended a torn one.
    if (this.#sent === 0 && this.#out[0] === newline) lines--;
    this.#batch = '';
    this.#out = nothing;
    this.#sent = 0;
    if (lines > 0) this.#options.onDrop(lines);
  }

  /** Tells those who wait for what is out now, or lost. */
  #settle(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    const done = this.#batch === '' ? Number.POSITIVE_INFINITY : this.#outNumber;
    this.#waiting = waiting.filter((one) => one.outNumber > done);
    for (const one of waiting) if (one.outNumber <= done) one.resolve();
  }

  #closeTarget(): void {
    const target = this.#target;
    this.#target = null;
    // A close that fails has lost nothing that a write had not reported.
    if (target !== null && !target.borrowed) close(target.fd, () => {});
  }

  #say(kind: 'open' | 'write', message: string): void {
    if (this.#said.has(kind)) return;
    this.#said.add(kind);
    this.#options.onProblem(message);
  }

  #name(): string {
    return this.#file ?? 'standard output';
  }
}

/** Where the piece that begins at `from` ends: behind the last whole line that fits, else behind the first line. */
function pieceEnd(out: Buffer, from: number, limit: Bytes): number {
  if (out.length - from <= limit) return out.length;
  const fits = out.lastIndexOf(newline, from + limit - 1);
  return (fits >= from ? fits : out.indexOf(newline, from)) + 1;
}

type OnTarget = (error: Error | null, target: Target | null) => void;

function openTarget(file: string | null, done: OnTarget): void {
  if (file === null) {
    openStandardOutput(done);
    return;
  }
  open(file, openFlags, 0o640, (error, fd) => {
    if (error !== null) return done(error, null);
    describeTarget(fd, false, done);
  });
}

function openStandardOutput(done: OnTarget): void {
  fstat(1, (error, stats) => {
    if (error !== null) return done(error, null);
    if (!stats.isFIFO()) return done(null, { fd: 1, borrowed: true, piece: pieceFor(stats) });
    // A second opening of the same pipe has flags of its own: not blocking here leaves others' fd 1 as it is.
    open('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK, (failed, fd) => {
      if (failed !== null) done(null, { fd: 1, borrowed: true, piece: pipePiece });
      else done(null, { fd, borrowed: false, piece: pipePiece });
    });
  });
}

function describeTarget(fd: number, borrowed: boolean, done: OnTarget): void {
  fstat(fd, (error, stats) => {
    if (error === null) return done(null, { fd, borrowed, piece: pieceFor(stats) });
    close(fd, () => done(error, null));
  });
}

const pieceFor = (stats: Stats): Bytes => (stats.isFile() ? filePiece : pipePiece);
