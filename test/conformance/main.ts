/**
 * `npm run conformance`: every case of the tables, the fuzz and the resets, with a table of how many there are and how
 * they went. Exits 1 if one failed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly ancestorTitles: readonly string[]; readonly status: string }[];
  }[];
}

/** What is counted under which line of the table: the file, and the group in it where that matters. */
const lines: readonly (readonly [what: string, file: string, group?: string])[] = [
  ['requests: framing of bodies', 'conformance.test.ts', 'request-framing.yaml'],
  ['requests: request line, target, host', 'conformance.test.ts', 'request-line.yaml'],
  ['requests: fields', 'conformance.test.ts', 'fields.yaml'],
  ['requests: what the node is told', 'conformance.test.ts', 'forwarding.yaml'],
  ['answers of nodes', 'conformance.test.ts', 'responses.yaml'],
  ['the same over TLS', 'conformance/tls.test.ts'],
  ['the same through a primary under its lease', 'conformance/primary.test.ts'],
  ['the same through pools that pipeline to their nodes', 'conformance/pipelining.test.ts'],
  ['any bytes, split anywhere', 'fuzz.test.ts'],
  ["llhttp's own cases", '08-llhttp.test.ts'],
  ['resets at every byte', 'resets.test.ts'],
  ['slow attacks', 'slow-attacks.test.ts'],
  ['programs that people use', 'real-clients.test.ts'],
];
const files = [
  'test/conformance',
  ...['08-llhttp', 'resets', 'slow-attacks', 'real-clients'].map((name) => `test/e2e/${name}`),
];

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'evenkeel-conformance-'));
try {
  const report = join(folder, 'report.json');
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', ...files, '--reporter=dot', '--reporter=json', `--outputFile.json=${report}`];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  const table = tableOf(JSON.parse(await readFile(report, 'utf8')) as Report);
  console.log(`\n${table}`);
  process.exitCode = code === 0 ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

function tableOf(report: Report): string {
  const tests = report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ ancestorTitles, status }) => ({ file: name, group: ancestorTitles[0] ?? '', status })),
  );
  const rows = lines.map(([what, file, group]) => {
    const own = tests.filter((test) => test.file.endsWith(file) && (group === undefined || test.group === group));
    const count = (status: string): number => own.filter((test) => test.status === status).length;
    const passed = count('passed');
    const failed = count('failed');
    return `| ${what} | ${passed + failed} | ${passed} | ${failed} | ${own.length - passed - failed} |`;
  });
  return ['| what | cases | passed | failed | skipped |', '|---|---|---|---|---|', ...rows].join('\n');
}
