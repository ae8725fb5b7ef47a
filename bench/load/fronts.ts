/** Proxies as running processes: started by their recipe, ready when they have answered rightly, reloaded, ended. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostOf, type Subject } from './contract.ts';
import type { Kind } from './kinds.ts';
import { find, mostConnections } from './machine.ts';
import { bodies, type Nodes, nginxUser } from './nodes.ts';
import type { Place } from './place.ts';
import { Process, residentOf, type Usage, usageOf } from './process.ts';
import { answers, type Target } from './ready.ts';
import type { Certificate, Stand } from './recipes/recipe.ts';

/** No scenario has more connections at once. */
const largestCrowd = 10_000;

export class Front {
  readonly subject: Subject;
  readonly target: Target;
  readonly nodes: Nodes;
  readonly #kind: Kind;
  readonly #process: Process;
  readonly #place: Place;
  #stand: Stand;

  private constructor(subject: Subject, kind: Kind, nodes: Nodes, place: Place, stand: Stand) {
    this.subject = subject;
    this.nodes = nodes;
    this.target = { host: '127.0.0.1', port: stand.port, tls: subject.setup.tls };
    this.#kind = kind;
    this.#place = place;
    this.#stand = stand;
    mkdirSync(stand.folder, { recursive: true });
    this.#writeFiles();
    this.#process = place.own(new Process(kind.recipe(stand).command));
  }

  static async start(subject: Subject, options: ProxyOptions): Promise<Front> {
    const { kind, nodes, place, certificate } = options;
    if (kind.program === null) throw new Error(`${kind.name} is not on this machine`);
    const stand: Stand = {
      setup: subject.setup,
      nodes: nodes.addresses,
      port: await place.port(),
      adminPort: await place.port(),
      folder: place.newFolder(kind.name),
      certificate: subject.setup.tls ? certificate : null,
      connections: Math.min(mostConnections(1), largestCrowd),
      nginxUser,
      program: kind.program,
      turn: 0,
    };
    const front = new Front(subject, kind, nodes, place, stand);
    await front.#check();
    return front;
  }

  /** Host field of a request that the last route takes; none where there are no routes. */
  get headers(): Readonly<Record<string, string>> {
    const { routes } = this.subject.setup;
    return routes === 0 ? {} : { host: hostOf(routes - 1) };
  }

  get canReload(): boolean {
    return this.#kind.recipe(this.#stand).reload !== null;
  }

  usage(): Usage {
    return usageOf(this.#process.pid);
  }

  residentBytes(): number {
    return residentOf(this.#process.pid);
  }

  /** Rejects if it has ended: a figure of a dead proxy is none. */
  assertAlive(): void {
    if (!this.#process.alive) throw new Error(`${this.subject.label} has ended:\n${this.#process.output}`);
  }

  reload(): void {
    this.#stand = { ...this.#stand, turn: this.#stand.turn + 1 };
    this.#writeFiles();
    const { reload } = this.#kind.recipe(this.#stand);
    if (reload !== null) this.#process.signal(reload);
  }

  stop(): Promise<void> {
    return this.#place.end(this.#process);
  }

  /** Every body comes through whole. */
  async #check(): Promise<void> {
    for (const [name, size] of Object.entries(bodies)) {
      const answer = await answers(this.#process, this.target, `/${name}`, this.headers);
      if (answer.bytes !== size)
        throw new Error(`${this.subject.label}: /${name} has ${answer.bytes} bytes, not ${size}`);
    }
  }

  /** Each at once: written beside and moved over the old one. */
  #writeFiles(): void {
    for (const [name, text] of Object.entries(this.#kind.recipe(this.#stand).files)) {
      const file = join(this.#stand.folder, name);
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    }
  }
}

export interface ProxyOptions {
  readonly kind: Kind;
  readonly nodes: Nodes;
  readonly place: Place;
  readonly certificate: Certificate | null;
}

const opensslConfig = `[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = localhost
[extensions]
subjectAltName = DNS:localhost,IP:127.0.0.1
`;

/** Self-signed, for this run; null where there is no openssl. RSA 2048 is what most sites have. */
export function makeCertificate(place: Place): Certificate | null {
  const openssl = find('openssl');
  if (openssl === null) return null;
  const fileIn = (name: string): string => join(place.folder, name);
  const [cert, key, both, config] = [fileIn('cert.pem'), fileIn('key.pem'), fileIn('both.pem'), fileIn('openssl.cnf')];
  // Its own config, since not every openssl finds one.
  writeFileSync(config, opensslConfig);
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-config', config];
  execFileSync(openssl, [...args, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  writeFileSync(both, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'));
  return { cert, key, both };
}
