/**
 * From the first to the last breath of a process:
 *
 *   SIGHUP, a changed file   reload (one at a time)        SIGTERM             drain, then 0
 *   SIGUSR2                  open log files again          SIGINT, or a second SIGTERM   end at once, 0
 *   SIGUSR1                  nothing
 *
 *   the cluster wants it to end: drain, then 1; or 0 if it was told to leave
 *
 * The control thread outlives its own bugs: an exception that nobody caught is logged, and the data threads serve on.
 * Ending the process would cut every client for a fault that none of them had a part in.
 */

import type { Millis } from '../base/ids.ts';
import { watchConfig, watchFiles } from '../config/io/watch.ts';
import type { App } from './app.ts';
import type { Log } from './log.ts';
import { addressText } from './ports.ts';

/** Takes the process over: signals, the file, the `ready` line. Resolves with the exit code once everything has ended. */
export function runToEnd(app: App): Promise<number> {
  const { log } = app;
  const removeAll: (() => void)[] = [watch(app), survive(log)];
  return new Promise((resolve) => {
    let ending = false;
    let code = 0;
    const finish = async (ended: Promise<void>): Promise<void> => {
      await ended;
      if (ending) return;
      ending = true;
      for (const remove of removeAll) remove();
      log.info('ended', { event: 'ended' });
      log.flush();
      resolve(code);
    };
    const end = (why: string): void => {
      log.info(`ending at once: ${why}`, { event: 'ending' });
      void finish(app.close());
    };
    const signals = {
      SIGHUP: () => void app.reload(),
      SIGUSR2: () => app.reopenLogs(),
      // Left alone, it opens Node's inspector: a door for whoever may signal this process.
      SIGUSR1: () =>
        log.warn('SIGUSR1 does nothing here; SIGUSR2 opens the log files again', { event: 'signal-ignored' }),
      SIGTERM: () => (app.draining ? end('a second SIGTERM') : void finish(app.drain())),
      SIGINT: () => end('SIGINT'),
    };
    removeAll.push(listen(signals));
    const removeEnd = app.onEnd(({ code: wanted, why }) => {
      code = wanted;
      log[wanted === 0 ? 'info' : 'error'](`this member of the cluster ends: ${why}`, { event: 'cluster-ended' });
      void finish(app.drain());
    });
    removeAll.push(removeEnd);
    tellReady(app); // whoever reads it may send a signal
  });
}

function tellReady(app: App): void {
  const listeners = app.listeners().map(({ address }) => addressText(address));
  const admin = app.adminAddress === null ? '' : addressText(app.adminAddress);
  const fields = { event: 'ready', listen: listeners, admin, threads: app.threads.states().length };
  const what = listeners.length > 0 ? `listening on ${listeners.join(', ')}` : 'a witness, which carries no traffic';
  app.log.info(`ready: ${what}`, fields);
}

/** A certificate and its key are two files, written one after the other: time for both. */
const certificateDebounce: Millis = 500;

/** The config file, and the certificates that it names. */
function watch(app: App): () => void {
  const { source, log } = app;
  const onWarning = { warn: (message: string): void => log.warn(message) };
  const reload = (): void => void app.reload();
  const files = watchFiles(reload, { debounceMs: certificateDebounce, log: onWarning });
  files.watch(app.files);
  app.onReload = () => files.watch(app.files);
  const config = source === null ? null : watchConfig(source.file, reload, { current: source.text, log: onWarning });
  return () => {
    files.close();
    config?.close();
  };
}

function survive(log: Log): () => void {
  const tell = (error: unknown): void => {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    const fields = { event: 'control-exception', stack };
    log.error(`an exception in the control thread that nobody caught: ${message}; it goes on`, fields);
  };
  return listen({ uncaughtException: tell, unhandledRejection: tell });
}

/** Gives back what takes the handlers off again. */
function listen(handlers: Readonly<Record<string, (argument: unknown) => void>>): () => void {
  for (const [event, handler] of Object.entries(handlers)) process.on(event, handler);
  return () => {
    for (const [event, handler] of Object.entries(handlers)) process.off(event, handler);
  };
}
