/** testssl.sh looks at an encrypted listener, and finds nothing that is worse than information. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { startRawNode } from '../helpers/raw-node.ts';
import { testScope } from '../helpers/scope.ts';
import { makeCertificate } from '../helpers/tls.ts';

const run = promisify(execFile);

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/**
 * About the certificate of this test, which an authority of its own signed; and about what belongs to an app, not to a
 * proxy: which fields its answers carry.
 */
const notOurs =
  /^(cert_|DNS_CAArecord|OCSP|intermediate_cert|HSTS|HPKP|security_headers|cookie|banner|scanTime|scanProblem|engine_problem|overall_grade|grade|final_score|protocol_support|key_exchange|cipher_strength|rating)/i;

/**
 * testssl's client hangs up as soon as the handshake is done. A ticket of TLS 1.3 comes behind it: on a busy machine too
 * late, and there is nothing to resume with. Tickets are judged in test/e2e/tls.test.ts.
 */
const hungUpEarly = ({ id, finding }: Finding): boolean =>
  id === 'sessionresumption_ticket' && finding === 'check failed because of connect problem';

it('a listener with what is set by default', { timeout: 620_000 }, async () => {
  const scope = testScope();
  const folder = await scope.folder();
  const authority = await makeCertificate(folder, 'authority', { authority: true });
  const pem = await makeCertificate(folder, 'localhost', { names: ['localhost'], by: authority, days: 90 });
  const node = await startRawNode(scope);
  const ek = await startEvenkeel(scope, ([address]) => ({
    listen: { address, tls: pem.files },
    pools: { app: { nodes: [node.url], health: false } },
  }));
  const report = join(folder, 'report.json');
  const how = ['--quiet', '--color', '0', '--warnings', 'off', '--ip', '127.0.0.1', '--add-ca', authority.files.cert];
  const limits = ['--openssl-timeout', '60', '--connect-timeout', '60', '--jsonfile', report];
  // Protocols, server preference, forward secrecy, weaknesses by name, renegotiation, what clients would get.
  const looks = ['-p', '-s', '-f', '-P', '-S', '-U', '-g'];
  await run('testssl', [...how, ...limits, ...looks, `localhost:${ek.port}`], { timeout: 600_000, cwd: folder }).catch(
    // Its exit code counts findings of any kind; the report is what is judged.
    () => {},
  );
  const findings = JSON.parse(await readFile(report, 'utf8')) as Finding[];
  expect(findings.length).toBeGreaterThan(40);
  const offered = findings.filter(({ id }) => id === 'TLS1_2' || id === 'TLS1_3');
  expect(offered.map(({ severity }) => severity)).toEqual(['OK', 'OK']);
  const isWeak = ({ id, severity }: Finding): boolean =>
    !['OK', 'INFO', 'DEBUG'].includes(severity) && !notOurs.test(id);
  expect(findings.filter((one) => isWeak(one) && !hungUpEarly(one))).toEqual([]);
  expect(ek.child.exited).toBeNull();
});
