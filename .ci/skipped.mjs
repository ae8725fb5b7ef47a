// Fails if a test that should run was skipped. Test cases that are not part of this repository (../shared/corpora)
// may be absent; nothing else may be skipped.
import { existsSync, readFileSync } from 'node:fs';

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const corporaAbsent = !existsSync(new URL('../../shared/corpora', import.meta.url));
const skipped = report.testResults.flatMap((file) =>
  file.assertionResults
    .filter((test) => test.status !== 'passed' && test.status !== 'failed')
    .map((test) => `${file.name}: ${test.fullName} (${test.status})`),
);
const unexpected = skipped.filter((test) => !(corporaAbsent && /corpora|llhttp/i.test(test)));
for (const test of unexpected) console.log(`skipped: ${test}`);
console.log(`${skipped.length} skipped, ${unexpected.length} of them should have run`);
process.exitCode = unexpected.length === 0 ? 0 : 1;
