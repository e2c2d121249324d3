import type { ServerCommand } from './measured-server.ts'
import { jsonLog, nginxServer } from './nginx-server.ts'

export interface NginxProxyOptions {
  readonly originPort: number
  readonly workers: number
  /** Connections to the origin that each worker keeps. */
  readonly connections: number
  /** Of the access log. */
  readonly logBuffer: string | undefined
}

/** nginx as a reverse proxy that keeps its connections to the origin, or undefined where it is not installed. */
export function nginxProxyCommand(options: NginxProxyOptions): ServerCommand | undefined {
  const { originPort, workers, connections, logBuffer } = options
  return nginxServer({
    name: 'nginx',
    workers,
    http: (port, folder) => `
  ${jsonLog(folder, '"upstream":"$upstream_addr"', logBuffer)}
  upstream origin {
    server 127.0.0.1:${originPort};
    keepalive ${connections};
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }`,
  })
}
