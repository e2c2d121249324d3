import { fileURLToPath } from 'node:url'
import type { ServerCommand } from './measured-server.ts'
import { nginxServer } from './nginx-server.ts'
import { nginxBody } from './origin-body.ts'

const ownEntry = fileURLToPath(new URL('origin-main.ts', import.meta.url))

/** What stands behind the proxies and answers everything with the same body: nginx, or Node where it is missing. */
export function originCommand(bodyBytes: number): ServerCommand {
  const own: ServerCommand = {
    name: 'Node origin',
    command: process.execPath,
    args: (port) => [ownEntry, String(port), String(bodyBytes)],
  }
  const nginx = nginxServer({
    name: 'nginx origin',
    http: (port) => `
  access_log off;
  default_type application/json;
  server {
    listen 127.0.0.1:${port};
    location / { ${nginxBody(bodyBytes)} }
  }`,
  })
  return nginx ?? own
}
