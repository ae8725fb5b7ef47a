// Prints `N passed, N failed` and ends with 1 if anything failed: tests from Vitest's report, each other step that failed
// as one more, and one more if the test run failed as a whole though no test did.
import { existsSync, readFileSync } from 'node:fs';

const [, , file, testsEnd, failedSteps] = process.argv;
const report = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { numPassedTests: 0, numFailedTests: 0 };
const failedTests = report.numFailedTests === 0 && testsEnd !== '0' ? 1 : report.numFailedTests;
const failed = failedTests + Number(failedSteps);
console.log(`${report.numPassedTests} passed, ${failed} failed`);
process.exitCode = failed === 0 && report.numPassedTests > 0 ? 0 : 1;
