/** The admin API's listener, which a reload may move to another address. */

import type { AdminActions } from '../admin/actions.ts';
import { type AdminServer, serveAdmin } from '../admin/io/serve.ts';
import { sameData } from '../base/equal.ts';
import type { Millis } from '../base/ids.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { ListenAddress } from '../config/model.ts';
import type { Log } from './log.ts';

/** What is being answered where it was: a reload that moves it may take long where much else runs. */
const movedWithinMs: Millis = 30_000;

export class AdminDoor {
  readonly #actions: AdminActions;
  readonly #log: Log;
  #asked: ListenAddress | null = null;
  #server: AdminServer | null = null;
  /** Where it was, as long as something is answered there. */
  readonly #left = new Set<AdminServer>();

  constructor(actions: AdminActions, log: Log) {
    this.#actions = actions;
    this.#log = log;
  }

  /** As bound; null before open(). */
  get address(): ListenAddress | null {
    return this.#server?.address ?? null;
  }

  /**
   * Opens it there, and then closes it where it was. The error is one line; it stays where it was then.
   * What is being answered on the old listener (perhaps the very reload that moves it) is answered.
   */
  async open(address: ListenAddress): Promise<Result<null, string>> {
    if (sameData(address, this.#asked)) return ok(null);
    const old = this.#server;
    const oldAddress = this.#asked;
    const overlap = old !== null && oldAddress !== null && samePort(oldAddress, address);
    // 127.0.0.1:9090 to 0.0.0.0:9090: the new one can only open when the old one listens no more.
    if (overlap) this.#leave(old);
    const opened = await this.#serve(address);
    if (opened.ok) {
      this.#server = opened.value;
      this.#asked = address;
      if (old !== null && !overlap) this.#leave(old);
      return ok(null);
    }
    if (overlap) {
      const back = await this.#serve(oldAddress);
      this.#server = back.ok ? back.value : null;
      this.#asked = back.ok ? oldAddress : null;
      if (!back.ok) this.#log.error(back.error);
    }
    return opened;
  }

  /** It listens no more when this returns. */
  #leave(old: AdminServer): void {
    this.#left.add(old);
    void old.close(movedWithinMs).then(() => this.#left.delete(old));
  }

  async close(): Promise<void> {
    for (const old of this.#left) old.cut();
    await this.#server?.close();
    this.#server = null;
  }

  async #serve(address: ListenAddress): Promise<Result<AdminServer, string>> {
    const onError = (error: unknown, path: string): void =>
      this.#log.error(`admin API: ${error instanceof Error ? error.message : String(error)}`, { path });
    try {
      return ok(await serveAdmin({ actions: this.#actions, address, onError }));
    } catch (error) {
      return err((error as Error).message);
    }
  }
}

const samePort = (a: ListenAddress, b: ListenAddress): boolean =>
  a.kind === 'tcp' && b.kind === 'tcp' && a.port === b.port && a.port !== 0;
