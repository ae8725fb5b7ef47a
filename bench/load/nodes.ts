/**
 * The nodes behind the proxies. All of a setup are one process that listens on as many addresses: what differs between
 * nodes is nothing but their address, and a proxy can't tell. `static` is nginx with files (a chunked answer is a file
 * that passed a filter, which takes its length away); where nginx is absent, and for `app`, it is app-node.ts.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Setup } from './contract.ts';
import { find } from './machine.ts';
import type { Place } from './place.ts';
import { Process } from './process.ts';
import { answers } from './ready.ts';

export interface Nodes {
  /** `127.1.0.1:3000` or `unix:/path`. */
  readonly addresses: readonly string[];
  /** Where to go directly: host and port of the first, whatever `over` says. */
  readonly direct: { readonly host: string; readonly port: number };
  stop(): Promise<void>;
}

export const bodies: Readonly<Record<string, number>> = { '100': 100, '10k': 10 * 1024, '1m': 1024 * 1024 };
const appNode = fileURLToPath(new URL('./app-node.ts', import.meta.url));

/** A worker of nginx that was started by root is nobody, and could not look into the temporary folder. */
export const nginxUser = process.getuid?.() === 0 ? 'user root;\n' : '';

/** The nth loopback address, from 127.1.0.1 on. */
const loopback = (index: number): string => `127.1.${(index + 1) >> 8}.${(index + 1) & 255}`;

export async function startNodes(place: Place, setup: Setup): Promise<Nodes> {
  const folder = place.newFolder('nodes');
  mkdirSync(join(folder, 'files'), { recursive: true });
  const port = await place.port();
  const tcp = Array.from({ length: setup.over === 'unix' ? 1 : setup.nodes }, (_, i) => `${loopback(i)}:${port}`);
  const unix = Array.from(
    { length: setup.over === 'unix' ? setup.nodes : 0 },
    (_, i) => `unix:${join(folder, `${i}.sock`)}`,
  );
  const nginx = setup.backend === 'static' ? find('nginx') : null;
  const child = place.own(nginx === null ? startApp([...tcp, ...unix]) : startNginx(nginx, folder, [...tcp, ...unix]));
  const direct = { host: loopback(0), port };
  await answers(child, { ...direct, tls: false }, '/100');
  return { addresses: setup.over === 'unix' ? unix : tcp, direct, stop: () => place.end(child) };
}

function startApp(addresses: readonly string[]): Process {
  return new Process({ file: process.execPath, args: [appNode, ...addresses] });
}

function startNginx(nginx: string, folder: string, addresses: readonly string[]): Process {
  for (const [name, size] of Object.entries(bodies)) writeFileSync(join(folder, 'files', name), 'x'.repeat(size));
  const file = join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/temp;`,
  );
  writeFileSync(
    file,
    `${nginxUser}daemon off; pid ${folder}/pid; error_log stderr crit; worker_processes 1;
events { worker_connections 16000; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 75s; open_file_cache max=16;
  ${temporary.join(' ')}
  server {
    ${addresses.map((address) => `listen ${address} backlog=1024;`).join('\n    ')}
    root ${folder}/files; default_type text/plain;
    location /chunked/ { alias ${folder}/files/; sub_filter_types *; sub_filter nothing-like-this ''; }
  }
}
`,
  );
  // nginx opens its compiled-in error log before it reads the config, unless -e says otherwise.
  return new Process({ file: nginx, args: ['-e', 'stderr', '-p', folder, '-c', file] });
}
