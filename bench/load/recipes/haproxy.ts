import { join } from 'node:path';
import { firstWeight, type Recipe, type Stand } from './recipe.ts';

export function haproxy(stand: Stand): Recipe {
  const { setup, folder, certificate } = stand;
  const server = (node: string, index: number): string =>
    `server n${index} ${node.replace(/^unix:/, 'unix@')} check inter 2s weight ${index === 0 ? firstWeight(stand) : 1}`;
  const config = `global
  nbthread ${setup.workers}
  maxconn ${stand.connections}
  no strict-limits
  tune.ssl.default-dh-param 2048
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 75s
  timeout http-keep-alive 75s
  timeout tunnel 1h
  backlog 1024
frontend front
  bind 127.0.0.1:${stand.port}${certificate === null ? '' : ` ssl crt ${certificate.both}`}
  unique-id-format %{+X}o%ci%cp%ts%rt
  unique-id-header X-Request-Id
  default_backend app
backend app
  balance leastconn
  http-reuse always
  option forwardfor
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-Proto ${certificate === null ? 'http' : 'https'}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  ${stand.nodes.map(server).join('\n  ')}
`;
  return {
    files: { 'haproxy.cfg': config },
    // -W: a master that starts a new worker at SIGUSR2; the worker is the one that works.
    command: { file: stand.program, args: ['-W', '-q', '-f', join(folder, 'haproxy.cfg')] },
    reload: 'SIGUSR2',
  };
}
