import { join } from 'node:path';
import { firstWeight, type Recipe, type Stand } from './recipe.ts';

const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

// Twice the connections that are needed: nginx closes kept ones when fewer than a sixteenth are free.
export function nginx(stand: Stand): Recipe {
  const { setup, folder, certificate } = stand;
  const config = `${stand.nginxUser}daemon off; pid ${folder}/pid; error_log stderr crit; worker_processes ${setup.workers};
events { worker_connections ${4 * stand.connections}; }
http {
  access_log ${setup.accessLog ? `${folder}/access.log combined` : 'off'};
  keepalive_requests 1000000000; keepalive_timeout 75s; tcp_nodelay on;
  ${temporary.map((name) => `${name}_temp_path ${folder}/temp;`).join(' ')}
  upstream app {
    least_conn;
    ${stand.nodes.map((node, i) => `server ${node}${i === 0 ? ` weight=${firstWeight(stand)}` : ''};`).join('\n    ')}
    keepalive 4096; keepalive_requests 1000000000;
  }
  map $http_upgrade $connection_field { '' ''; default upgrade; }
  server {
    listen 127.0.0.1:${stand.port} backlog=1024${certificate === null ? '' : ' ssl'};
    ${certificate === null ? '' : `ssl_certificate ${certificate.cert}; ssl_certificate_key ${certificate.key}; ssl_protocols TLSv1.2 TLSv1.3;`}
    client_max_body_size 0;
    location / {
      proxy_pass http://app; proxy_http_version 1.1;
      proxy_request_buffering off; proxy_max_temp_file_size 0; proxy_read_timeout 1h; proxy_send_timeout 1h;
      proxy_set_header Connection $connection_field; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port; proxy_set_header X-Request-Id $request_id;
    }
  }
}
`;
  return {
    files: { 'nginx.conf': config },
    // nginx opens its compiled-in error log before it reads the config, unless -e says otherwise.
    command: { file: stand.program, args: ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')] },
    reload: 'SIGHUP',
  };
}
