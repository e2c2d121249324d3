import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ServerCommand } from './measured-server.ts'
import { jsonLog, nginxServer } from './nginx-server.ts'

export interface NginxCacheOptions {
  readonly upstreamUrl: string
  /** Of the access log. */
  readonly logBuffer: string | undefined
}

/**
 * nginx with one worker as a cache in front of the same upstream, or undefined where it is not installed. Its answers
 * say where they came from, as a replica's do.
 */
export function nginxCacheCommand({ upstreamUrl, logBuffer }: NginxCacheOptions): ServerCommand | undefined {
  return nginxServer({
    name: 'nginx',
    http: (port, folder) => {
      mkdirSync(join(folder, 'cache'))
      return `
  ${jsonLog(folder, '"cache":"$upstream_cache_status"', logBuffer)}
  proxy_cache_path ${folder}/cache keys_zone=answers:16m max_size=1g inactive=1h;
  upstream origin {
    server ${new URL(upstreamUrl).host};
    keepalive 64;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache answers;
      proxy_cache_key $uri;
      proxy_cache_valid 200 1h;
      add_header Cache-Status $upstream_cache_status;
    }
  }`
    },
  })
}
