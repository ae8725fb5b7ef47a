/**
 * `node journal-child.ts FOLDER`: a process whose only work is to write entries and to say which are acknowledged. It
 * is killed by the test. Lines: `open BOOT LAST`, then `ack INDEX`, `snap INDEX`; `fatal CODE MESSAGE` and exit 1.
 */
import { writeSync } from 'node:fs';
import { Journal } from '../../../src/cluster/io/journal.ts';
import { contentOf } from './journal-content.ts';

const [path = ''] = process.argv.slice(2);
const snapshotEvery = 300;

const opened = await Journal.open({ path, onDurable, onFatal: (error) => end(`fatal ${error.code} ${error.message}`) });
if (!opened.ok) end(`refused ${opened.error.code} ${opened.error.message}`);
const journal = opened.ok ? opened.value : null;
let index = journal?.restored.entries.at(-1)?.index ?? journal?.restored.snapshot?.index ?? 0;
let ticket = 0;
const meaning = new Map<number, string>();
say(`open ${journal?.restored.boot} ${index}`);
for (let i = 0; i < 40; i++) write();

/** At once, also into a pipe that is full: what is said was acknowledged before the kill. */
function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, `${line}\n`);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

function end(line: string): never {
  say(line);
  process.exit(1);
}

function write(): void {
  index += 1;
  meaning.set(++ticket, `ack ${index}`);
  journal?.write({
    ticket,
    entries: [{ index, term: 1, bytes: contentOf(index) }],
    hard: Buffer.from(`vote ${index}`),
  });
  if (index % snapshotEvery !== 0) return;
  const upTo = index - 100;
  meaning.set(++ticket, `snap ${upTo}`);
  const snapshot = { index: upTo, term: 1, bytes: new Uint8Array(600_000).fill(upTo % 251) };
  journal?.write({ ticket, snapshot, compactTo: upTo - 50 });
}

function onDurable(done: number): void {
  const line = meaning.get(done) ?? '';
  meaning.delete(done);
  say(line);
  if (line.startsWith('ack')) write();
}
