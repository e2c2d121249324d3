import { fileURLToPath } from 'node:url'
import type { MeasuredServer, ServerCommand } from './measured-server.ts'

const entry = fileURLToPath(new URL('tunnel-origin-main.ts', import.meta.url))

/**
 * Where an origin listens. One address would not do: a port that a connection has left cannot be used for another one
 * to the same target for a minute, and proxies would be measured by how they look for one that can.
 */
export const originAddresses = ['127.0.0.1', ...Array.from({ length: 63 }, (_, index) => `127.0.1.${index + 1}`)]

/** What stands behind forward proxies: sends back what it gets, or sends without end. */
export function tunnelOriginCommand(kind: 'echo' | 'stream'): ServerCommand {
  return {
    name: `${kind} origin`,
    command: process.execPath,
    args: (port) => [entry, String(port), kind],
  }
}

/** An origin as CONNECT names it, by each of its addresses. */
export function targetsOf({ port }: MeasuredServer): string[] {
  return originAddresses.map((address) => `${address}:${port}`)
}
