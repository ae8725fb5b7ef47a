/**
 * evenkeel composed in this process, with what no signal can do from outside: ending one data thread. Its threads hang or
 * run out of memory when asked to (mortal-thread.ts).
 *
 *   node composed.ts CONFIG-FILE      takes { kill: row } over IPC, says { killed: row }; ends when its parent does
 */
import { compose } from '../../src/app/compose.ts';

export interface ToComposed {
  /** The thread's row in the scoreboard, `thread` in /stats. */
  readonly kill: number;
}
export interface FromComposed {
  readonly killed: number;
}

const [file = ''] = process.argv.slice(2);
const threadEntry = new URL('./mortal-thread.ts', import.meta.url);
const composed = await compose({ file, env: process.env, threadEntry });
if (!composed.ok) {
  console.error(JSON.stringify(composed.error));
  process.exit(1);
}
const app = composed.value;
process.on('message', ({ kill }: ToComposed) => {
  void app.threads.terminate(kill).then(() => process.send?.({ killed: kill } satisfies FromComposed));
});
process.on('disconnect', () => process.exit(0));
