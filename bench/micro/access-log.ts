/**
 * What one line of the access log costs the data thread: `node bench/micro/access-log.ts`.
 * `format` is the making of the line; `write` is all that the writer costs the thread that calls it (to /dev/null), with
 * texts that are cut from a fresh head each, as those of requests are: what keeps them, keeps the heads.
 */
import { type AccessFormat, createAccessFormatter } from '../../src/observe/access-log.ts';
import { createAccessWriter } from '../../src/observe/io/access-writer.ts';
import type { Outcome } from '../../src/proxy/outcome.ts';

const rounds = 5;
const lines = 200_000;
const start = Date.UTC(2026, 0, 1);

function outcomes(target: string): Outcome[] {
  return Array.from({ length: 1000 }, (_, i) => ({
    id: `0f3a9c2e-${i}`,
    client: `10.1.${i >> 8}.${i & 255}`,
    method: 'GET',
    host: 'shop.example.com',
    target: `${target}${i}`,
    protocol: 'HTTP/1.1',
    status: 200,
    bytesIn: 0,
    bytesOut: 512 + i,
    headOut: 112,
    durationMs: 1 + i / 7,
    startedAt: start + i * 3,
    listener: '0.0.0.0:8080',
    route: 'route-1',
    pool: 'app',
    node: '10.0.0.11:3000',
    connectMs: -1,
    ttfbMs: 1 + i / 9,
    tries: 1,
    epoch: 0,
    end: 'ok',
    header: (name) =>
      name === 'user-agent' ? 'Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0' : undefined,
  }));
}

/** Best of several rounds, microseconds of the thread's CPU per line. `settle` runs between batches of 500 lines. */
async function measure(what: string, each: (index: number) => void, settle?: () => Promise<void>): Promise<void> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = process.threadCpuUsage();
    for (let batch = 0; batch < lines; batch += 500) {
      for (let i = batch; i < batch + 500; i++) each(i);
      await settle?.();
    }
    const { user, system } = process.threadCpuUsage(start);
    best = Math.min(best, (user + system) / lines);
  }
  console.log(`${what.padEnd(36)} ${best.toFixed(3)} us per line`);
}

const plain = outcomes('/products/list?page=');
const hostile = outcomes('/"\\\u001b[2J\r\n\u00ff');
let bytes = 0;
for (const format of ['json', 'combined'] as const satisfies readonly AccessFormat[]) {
  for (const [kind, set] of [
    ['plain text', plain],
    ['text to escape', hostile],
  ] as const) {
    const line = createAccessFormatter(format);
    await measure(`format ${format}, ${kind}`, (i) => {
      // Read a character of the line: else its pieces are never put together.
      bytes += line(set[i % 1000]!).charCodeAt(40);
    });
  }
}
let dropped = 0;
const head = Buffer.from(`GET /products/list?page=7 HTTP/1.1\r\nHost: shop.example.com\r\n${'x'.repeat(500)}\r\n\r\n`);
/** As one of `plain`, its texts cut from a head. */
function fromHead(one: Outcome): Outcome {
  const text = head.latin1Slice();
  return { ...one, target: text.slice(4, 25), host: text.slice(42, 58) };
}
for (const format of ['json', 'combined'] as const satisfies readonly AccessFormat[]) {
  const writer = createAccessWriter({
    format,
    file: '/dev/null',
    onDrop: (count) => {
      dropped += count;
    },
    onProblem: (message) => console.error(message),
  });
  await measure(`no write, ${format}`, (i) => {
    bytes += fromHead(plain[i % 1000]!).target.length;
  });
  await measure(
    `write ${format}, plain text`,
    (i) => writer.write(fromHead(plain[i % 1000]!)),
    () => writer.flush(),
  );
  await writer.close();
}
console.log(`dropped ${dropped}, checksum ${bytes}`);
