import { join } from 'node:path';
import type { Recipe, Stand } from './recipe.ts';

export function caddy(stand: Stand): Recipe {
  const { folder, certificate } = stand;
  const scheme = certificate === null ? 'http' : 'https';
  const nodes = stand.nodes.map((node) => node.replace(/^unix:/, 'unix/'));
  const config = `{
  admin off
  auto_https off
  log {
    level ERROR
  }
}
${scheme}://:${stand.port} {
  bind 127.0.0.1
  ${certificate === null ? '' : `tls ${certificate.cert} ${certificate.key}`}
  reverse_proxy ${nodes.join(' ')} {
    lb_policy least_conn
    flush_interval -1
    header_up X-Real-IP {remote_host}
    header_up X-Forwarded-Port {http.request.port}
    header_up X-Request-Id {http.request.uuid}
    transport http {
      keepalive 75s
      keepalive_idle_conns 4096
      keepalive_idle_conns_per_host 256
      compression off
    }
  }
}
`;
  return {
    files: { Caddyfile: config },
    command: {
      file: stand.program,
      args: ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')],
      // As many threads for Go code as the others have.
      env: { GOMAXPROCS: String(stand.setup.workers), HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    },
    reload: null,
  };
}
