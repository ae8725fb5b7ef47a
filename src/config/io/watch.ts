/**
 * Tells when a config file has changed.
 *
 * The FOLDER is watched, not the file: editors write a new file and rename it over the old one, and Kubernetes swaps
 * the symlink `..data` beside it; a watch on the file would stay with the old inode and never speak again. An event
 * only means "look": what counts is the hash of the content, so that a touch, a log file next door or a file that was
 * written twice cause no reload. Events can get lost (NFS, overlay mounts, a file that is a link to elsewhere), so the
 * file is looked at every few seconds besides.
 *
 * A file that is gone or empty for a moment, in the middle of a replacement, is no news; one that stays so is.
 */
import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Millis } from '../../base/ids.ts';
import { readText } from './read.ts';

export interface WatchOptions {
  /** The text in force. Without it, what the file holds at the first look. */
  readonly current?: string;
  /** Default 5 s. */
  readonly pollMs?: Millis;
  /** Time without a further event before the file is looked at. Default 100 ms. */
  readonly debounceMs?: Millis;
  readonly log?: { warn(message: string): void };
}

export interface ConfigWatch {
  close(): void;
}

/** `onChange` is called when the content has changed, or when the file stays unreadable or empty. Does not keep the process alive. */
export function watchConfig(file: string, onChange: () => void, options: WatchOptions = {}): ConfigWatch {
  const watcher = new Watcher(file, onChange, options);
  watcher.start();
  return { close: () => watcher.close() };
}

/** Several files at once, which may become others. */
export interface FilesWatch extends ConfigWatch {
  /**
   * Watches these from now on: names, and the text that was read of each. Those that were watched before are not looked at
   * anew.
   */
  watch(files: ReadonlyMap<string, string>): void;
}

/** The same for files that are read with the config, such as certificates; `onChange` for each that has changed. */
export function watchFiles(onChange: () => void, options: Omit<WatchOptions, 'current'> = {}): FilesWatch {
  const watches = new Map<string, ConfigWatch>();
  return {
    watch: (files) => {
      for (const [file, one] of watches) {
        if (files.has(file)) continue;
        one.close();
        watches.delete(file);
      }
      for (const [file, current] of files)
        if (!watches.has(file)) watches.set(file, watchConfig(file, onChange, { ...options, current }));
    },
    close: () => {
      for (const one of watches.values()) one.close();
      watches.clear();
    },
  };
}

/** Looks in a row that must fail before a missing file counts as a change. */
const failuresThatCount = 2;
/** A file that is written without a pause is looked at all the same, after so many debounce times. */
const mostPushes = 10;

class Watcher {
  readonly #file: string;
  readonly #onChange: () => void;
  readonly #options: Required<Pick<WatchOptions, 'pollMs' | 'debounceMs'>> & WatchOptions;
  #seen: string | null;
  #failures = 0;
  #folder: FSWatcher | null = null;
  #soon: NodeJS.Timeout | null = null;
  /** A look that events push further away happens by then. */
  #lookBy = 0;
  #poll: NodeJS.Timeout | null = null;
  #looking = false;
  #again = false;
  #closed = false;
  #warned = false;

  constructor(file: string, onChange: () => void, options: WatchOptions) {
    this.#file = file;
    this.#onChange = onChange;
    this.#options = { pollMs: 5000, debounceMs: 100, ...options };
    this.#seen = options.current === undefined ? null : hash(options.current);
  }

  start(): void {
    this.#watchFolder();
    this.#poll = setInterval(() => {
      if (this.#folder === null) this.#watchFolder();
      this.#look();
    }, this.#options.pollMs).unref();
    this.#look();
  }

  close(): void {
    this.#closed = true;
    this.#folder?.close();
    if (this.#soon) clearTimeout(this.#soon);
    if (this.#poll) clearInterval(this.#poll);
  }

  #watchFolder(): void {
    try {
      this.#folder = watch(dirname(this.#file), { persistent: false }, (_, name) => {
        if (name === null || name === basename(this.#file) || name.startsWith('..')) this.#lookSoon();
      });
      this.#folder.on('error', (error) => this.#lost(error));
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(error: unknown): void {
    this.#folder?.close();
    this.#folder = null;
    if (this.#warned) return;
    this.#warned = true;
    const why = error instanceof Error ? error.message : String(error);
    const every = this.#options.pollMs / 1000;
    this.#options.log?.warn(
      `the folder of ${this.#file} cannot be watched (${why}); the file is looked at every ${every} s`,
    );
  }

  #lookSoon(): void {
    if (this.#closed) return;
    const { debounceMs } = this.#options;
    const now = performance.now();
    if (this.#soon === null) this.#lookBy = now + debounceMs * mostPushes;
    else clearTimeout(this.#soon);
    const wait = Math.min(debounceMs, Math.max(0, this.#lookBy - now));
    this.#soon = setTimeout(() => {
      this.#soon = null;
      this.#look();
    }, wait).unref();
  }

  #look(): void {
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#looking = true;
    void readText(this.#file).then((text) => {
      this.#looking = false;
      if (this.#closed) return;
      this.#compare(text.ok && text.value !== '' ? hash(text.value) : null);
      if (this.#again) {
        this.#again = false;
        this.#look();
      }
    });
  }

  /** null: not readable, or empty. */
  #compare(now: string | null): void {
    if (now !== null) {
      this.#failures = 0;
      const before = this.#seen;
      this.#seen = now;
      if (before !== null && before !== now) this.#onChange();
      return;
    }
    this.#failures++;
    if (this.#failures < failuresThatCount) this.#lookSoon();
    else if (this.#failures === failuresThatCount) {
      this.#seen = 'unreadable';
      this.#onChange();
    }
  }
}

const hash = (text: string): string => createHash('sha256').update(text).digest('base64');
