/** A program whose two threads write access lines to the same standard output. Started by access-writer.test.ts. */
import { isMainThread, Worker } from 'node:worker_threads';
import { createAccessWriter } from '../../../src/observe/io/access-writer.ts';
import { outcome } from '../fixture.ts';

const fail = (code: number): never => process.exit(code);
const writer = createAccessWriter({
  format: 'json',
  file: null,
  maxBytes: 64 * 1024 * 1024,
  onDrop: () => fail(7),
  onProblem: () => fail(8),
});
if (isMainThread) new Worker(new URL(import.meta.url));
const lines = Number(process.env['LINES']);
for (let i = 0; i < lines; i++) {
  writer.write(outcome({ id: `${isMainThread ? 'a' : 'b'}${i}`, target: `/${'x'.repeat(i % 300)}` }));
}
await writer.flush();
