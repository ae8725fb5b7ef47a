/**
 * `node log-lines.ts NUMBER`: logs so many lines of 1 KiB, tells on standard output how many exceptions nobody caught, and
 * ends.
 */
import { createLog } from '../../src/app/log.ts';

const log = createLog('info');
let uncaught = 0;
// As a running evenkeel does: one that the log itself threw would be logged, too.
process.on('uncaughtException', ({ message }) => {
  uncaught++;
  if (uncaught < 100) log.error(message);
});
for (let line = 0; line < Number(process.argv[2]); line++) log.info(`line ${line}`, { filler: 'x'.repeat(1000) });
setTimeout(() => {
  process.stdout.write(`${uncaught} uncaught\n`);
  log.flush();
  process.exit(0);
}, 200);
