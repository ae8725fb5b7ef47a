/**
 * Standard error as the log writes to it, without ever waiting for whoever reads it.
 *
 *   write(line) -> kept (memory, 4 MiB at most, further lines are dropped) -> one write at a time
 *
 * - A pipe is opened a second time without blocking, as for the access log: one that nobody reads says EAGAIN then, and is
 *   tried again.
 * - What can't be written (disk full, reader or terminal gone) is lost: there is nobody who could be told. The next line
 *   tries anew.
 * - At the end of the process what is kept is written out at once; a pipe that stays full gets a second for that.
 */
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import type { Bytes, Millis } from '../base/ids.ts';

const keptMost: Bytes = 4 * 1024 * 1024;
const pieceBytes: Bytes = 16 * 1024;
const fullPipePause: Millis = 50;
const flushWithin: Millis = 1000;
const nothing = Buffer.alloc(0);

class Stderr {
  readonly #fd = descriptor();
  #lines: Buffer[] = [];
  #bytes: Bytes = 0;
  /** What is being written, and how much of it is out. */
  #out: Buffer = nothing;
  #sent: Bytes = 0;
  #busy = false;
  #pause: NodeJS.Timeout | null = null;

  write(line: string): void {
    const bytes = Buffer.from(line, 'utf8');
    if (this.#bytes + bytes.length > keptMost) return;
    this.#lines.push(bytes);
    this.#bytes += bytes.length;
    this.#pump();
  }

  /** Writes what is kept before it returns, or gives it up. */
  flush(): void {
    const until = performance.now() + flushWithin;
    // A piece that is on its way is the system's affair.
    if (this.#busy) this.#out = nothing;
    while (this.#next()) {
      try {
        this.#sent += writeSync(this.#fd, this.#out, this.#sent);
      } catch (error) {
        if (!isFull(error as NodeJS.ErrnoException) || performance.now() > until) return this.#lose();
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      }
    }
  }

  /** False if nothing is left to write. */
  #next(): boolean {
    if (this.#sent < this.#out.length) return true;
    const lines: Buffer[] = [];
    let bytes = 0;
    while (this.#lines.length > 0 && (bytes === 0 || bytes + this.#lines[0]!.length <= pieceBytes)) {
      const line = this.#lines.shift()!;
      lines.push(line);
      bytes += line.length;
    }
    this.#bytes -= bytes;
    this.#out = lines.length === 0 ? nothing : Buffer.concat(lines);
    this.#sent = 0;
    return bytes > 0;
  }

  #pump(): void {
    if (this.#busy || this.#pause !== null || !this.#next()) return;
    this.#busy = true;
    const piece = this.#out;
    write(this.#fd, piece, this.#sent, (error, written) => {
      this.#busy = false;
      if (error !== null && isFull(error)) return this.#wait();
      if (error !== null) this.#lose();
      else if (piece === this.#out) this.#sent += written;
      this.#pump();
    });
  }

  /** Nothing that the end of the process waits for: flush() is for that. */
  #wait(): void {
    this.#pause = setTimeout(() => {
      this.#pause = null;
      this.#pump();
    }, fullPipePause).unref();
  }

  #lose(): void {
    this.#lines = [];
    this.#bytes = 0;
    this.#out = nothing;
    this.#sent = 0;
  }
}

const isFull = ({ code }: NodeJS.ErrnoException): boolean => code === 'EAGAIN' || code === 'EINTR' || code === 'EBUSY';

/** Of a pipe a second one, whose flags are its own: others who share fd 2 still wait for its reader. */
function descriptor(): number {
  try {
    if (fstatSync(2).isFIFO()) return openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // No /proc here, or nothing is open: writes will say so.
  }
  return 2;
}

let opened: Stderr | null = null;

/** The one of this process. */
export function stderr(): Pick<Stderr, 'write' | 'flush'> {
  if (opened === null) {
    const made = new Stderr();
    opened = made;
    process.on('exit', () => made.flush());
  }
  return opened;
}
