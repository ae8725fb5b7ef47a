/** `evenkeel demo`: three sample app nodes and evenkeel in front of them, to play with; also `npm start`. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, InvalidArgumentError } from 'commander';
import { CommandError } from '../exit.ts';
import { type SampleNode, SampleNodes } from '../sample-nodes.ts';

interface Ports {
  readonly port: number;
  readonly adminPort: number;
  /** Of the first of the three nodes; the others have the next ones. */
  readonly nodePort: number;
}

const usual: Ports = { port: 8080, adminPort: 9090, nodePort: 3001 };
const example = shortest(fileURLToPath(new URL('../../../config.example.yaml', import.meta.url)));
const restartAfterMs = 10_000;

/** From the current folder if it lies below it. */
function shortest(file: string): string {
  const short = relative('.', file);
  return short.startsWith('..') ? file : short;
}

/** config.example.yaml with other ports in it. */
function withPorts(text: string, { port, adminPort, nodePort }: Ports): string {
  const node = (_: string, n: string): string => `127.0.0.1:${nodePort + Number(n) - 1}`;
  return text
    .replace(/^listen: .*$/m, `listen: 0.0.0.0:${port}`)
    .replace(/^admin: .*$/m, `admin: 127.0.0.1:${adminPort}`)
    .replace(/127\.0\.0\.1:300([123])\b/g, node);
}

interface DemoConfig {
  readonly file: string;
  remove(): Promise<void>;
}

/** The example itself where the ports are the usual ones, so that it can be edited and watched; else a copy. */
async function demoConfig(ports: Ports): Promise<DemoConfig> {
  const same = Object.entries(usual).every(([name, port]) => ports[name as keyof Ports] === port);
  if (same) return { file: example, remove: async () => undefined };
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-demo-'));
  const file = join(folder, 'config.yaml');
  await writeFile(file, withPorts(await readFile(example, 'utf8'), ports));
  return { file, remove: () => rm(folder, { recursive: true, force: true }) };
}

function whatToTry(nodes: readonly SampleNode[], ports: Ports, file: string): string {
  const fromCheckout = import.meta.url.endsWith('.ts');
  const evenkeel = fromCheckout ? 'npm run -s evenkeel --' : 'npx evenkeel';
  const admin = ports.adminPort === usual.adminPort ? '' : ` --admin 127.0.0.1:${ports.adminPort}`;
  const url = `http://127.0.0.1:${ports.port}`;
  const lines = nodes.map(({ name, port, pid }) => `  ${name}  http://127.0.0.1:${port}  pid ${pid}`);
  const tries = [
    [`curl ${url}/`, 'each answer names the node that gave it'],
    [`while sleep 0.2; do curl -sS ${url}/; done`, 'and again and again; keep it running'],
    [`kill ${nodes[1]?.pid}`, `a node dies: no request fails. It comes back after ${restartAfterMs / 1000} s`],
    [`${evenkeel} status${admin}`, 'which nodes are fit, and why'],
    [`curl http://127.0.0.1:${ports.adminPort}/metrics`, 'for Prometheus; /stats is the same as JSON'],
    [`edit ${file}`, 'weights, nodes, routes: in force at once, or refused with the reason'],
  ] as const;
  const width = Math.max(...tries.map(([command]) => command.length));
  const drawn = tries.map(([command, what]) => `  ${command.padEnd(width)}  # ${what}`);
  const head = `evenkeel listens on ${url}, in front of three sample app nodes:`;
  return ['', head, ...lines, '', 'Try in another terminal:', ...drawn, '', 'Ctrl-C ends everything.', '', ''].join(
    '\n',
  );
}

/** What else to do about a taken port, in words of this command. */
function withRemedy(error: unknown): unknown {
  if (!(error instanceof CommandError)) return error;
  const remedy = 'Other ports for the demo: evenkeel demo --port 8081 --admin-port 9091 --node-port 3011';
  return new CommandError(`${error.message}\n${remedy}`, error.code);
}

async function demo(ports: Ports): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const { runToEnd, startApp } = await import('../start.ts');
  const addresses = [0, 1, 2].map((offset) => ports.nodePort + offset);
  const nodes = new SampleNodes({ ports: addresses, restartAfterMs, say });
  const config = await demoConfig(ports);
  try {
    const started = await nodes.start();
    const app = await startApp({ file: config.file });
    const ended = runToEnd(app); // first, so that a signal sent by who reads the following finds its handler
    process.stdout.write(whatToTry(started, ports, config.file));
    process.exitCode = await ended;
  } catch (error) {
    throw withRemedy(error);
  } finally {
    nodes.stop();
    await config.remove();
  }
}

function port(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0 && value < 65_534) return value;
  throw new InvalidArgumentError('a port is a number from 1 to 65533.');
}

export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('start three sample app nodes and evenkeel in front of them, and say what to try')
    .option('--port <number>', 'port of the proxy', port, usual.port)
    .option('--admin-port <number>', 'port of the admin API', port, usual.adminPort)
    .option('--node-port <number>', 'port of the first node; the others have the next two', port, usual.nodePort)
    .action(demo);
}
