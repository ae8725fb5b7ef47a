// Runs the installed package as a user would: `npx evenkeel ...` in FOLDER, where nothing but the package is installed.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { delimiter, dirname } from 'node:path';

const folder = process.argv[2];
// npx takes the first Node in PATH, which may be the machine's own, older one.
const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}` };
const npx = (...args) =>
  execFileSync('npx', ['--no-install', 'evenkeel', ...args], { cwd: folder, env, encoding: 'utf8' });

/** A port that is free now. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** Polls until `attempt` gives something, for at most 20 s. */
async function eventually(what, attempt) {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    const result = await attempt().catch(() => undefined);
    if (result !== undefined) return result;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not happen within 20 s`);
}

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
assert.equal(npx('version').trim(), version);
assert.equal(JSON.parse(npx('schema')).type, 'object');
assert.ok(!existsSync(`${folder}/node_modules/vitest`), 'devDependencies came along');

const node = createServer((request, response) => response.end(`hello from the node, ${request.url}`));
await once(node.listen(0, '127.0.0.1'), 'listening');
const [port, admin] = [await freePort(), await freePort()];
const to = `http://127.0.0.1:${node.address().port}`;
const args = ['run', '--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${admin}`, '--to', to];
const proxy = spawn(process.execPath, [`${folder}/node_modules/evenkeel/dist/cli/bin.js`, ...args], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
const ended = once(proxy, 'exit');
try {
  const body = await eventually('an answer through the proxy', async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/x`);
    return answer.ok ? answer.text() : undefined;
  });
  assert.equal(body, 'hello from the node, /x');
  assert.match(npx('status', '--admin', `127.0.0.1:${admin}`), /1 of 1 nodes fit/);
  proxy.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null], 'exit code and signal after SIGTERM');
} finally {
  proxy.kill('SIGKILL');
  node.close();
  node.closeAllConnections();
}
console.log(`the packed package works: evenkeel ${version}`);
