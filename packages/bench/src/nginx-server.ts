import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServerCommand } from './measured-server.ts'
import { findOnPath } from './find-on-path.ts'

export interface NginxOptions {
  readonly upstreamUrl: string
  /** nginx writes each line at once unless it gets a buffer, such as `4k`. */
  readonly logBuffer: string | undefined
}

/** nginx with one worker as a cache in front of the same upstream, or undefined where it is not installed. */
export function nginxCommand(options: NginxOptions): ServerCommand | undefined {
  const command = findOnPath('nginx')
  if (command === undefined) return undefined
  return {
    name: 'nginx',
    command,
    args: (port, folder) => {
      for (const name of ['cache', 'temp']) mkdirSync(join(folder, name))
      writeFileSync(join(folder, 'nginx.conf'), configuration(port, folder, options))
      return ['-p', folder, '-c', join(folder, 'nginx.conf')]
    },
  }
}

/** The log has the fields of the replica's, the answer says where it came from, connections stay open as long. */
function configuration(port: number, folder: string, { upstreamUrl, logBuffer }: NginxOptions): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  // Started by root, nginx would hand its worker to a user who may not enter this folder.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `
${user}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  ${temporary.map((kind) => `${kind}_temp_path ${folder}/temp/${kind};`).join('\n  ')}
  log_format json escape=json '{"level":"info","time":"$time_iso8601","method":"$request_method","path":"$uri",'
    '"status":$status,"cache":"$upstream_cache_status","latency_s":$request_time,"msg":"request"}';
  access_log ${folder}/access.log json${logBuffer === undefined ? '' : ` buffer=${logBuffer} flush=1s`};
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  tcp_nodelay on;
  proxy_cache_path ${folder}/cache keys_zone=answers:16m max_size=1g inactive=1h;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass ${upstreamUrl};
      proxy_cache answers;
      proxy_cache_key $uri;
      proxy_cache_valid 200 1h;
      add_header Cache-Status $upstream_cache_status;
    }
  }
}
`
}
