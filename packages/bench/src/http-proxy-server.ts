import { fileURLToPath } from 'node:url'
import type { ServerCommand } from './measured-server.ts'

const entry = fileURLToPath(new URL('http-proxy-main.ts', import.meta.url))

/** http-proxy-3 in a process of its own, without a log. */
export function httpProxyCommand(originUrl: string): ServerCommand {
  return {
    name: 'http-proxy-3',
    command: process.execPath,
    args: (port) => [entry, String(port), originUrl],
  }
}
