/** `node journal-quitter.ts FOLDER COUNT`: writes COUNT entries, then ends by an exception, without closing anything. */
import { writeSync } from 'node:fs';
import { Journal } from '../../../src/cluster/io/journal.ts';
import { contentOf } from './journal-content.ts';

const [path = '', count = ''] = process.argv.slice(2);
let left = Number(count);
const opened = await Journal.open({
  path,
  onDurable: (ticket) => {
    writeSync(1, `ack ${ticket}\n`);
    left -= 1;
    if (left === 0) throw new Error('a bug elsewhere in the process');
  },
  onFatal: (error) => writeSync(1, `fatal ${error.message}\n`),
});
if (!opened.ok) throw opened.error;
for (let index = 1; index <= left; index++)
  opened.value.write({ ticket: index, entries: [{ index, term: 1, bytes: contentOf(index) }] });
