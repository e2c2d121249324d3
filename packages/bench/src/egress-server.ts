import { fileURLToPath } from 'node:url'
import { compileCache, type ServerCommand } from './measured-server.ts'

export interface EgressServerOptions {
  /** Before the entry. */
  readonly nodeFlags?: readonly string[]
}

const entry = fileURLToPath(new URL('../../../services/egress/src/main.ts', import.meta.url))

/** The egress as it rotates: over four addresses, with the access log as JSON and metrics on. Nobody is limited. */
export function egressCommand({ nodeFlags = [] }: EgressServerOptions = {}): ServerCommand {
  return {
    name: 'egress',
    command: process.execPath,
    args: () => [...nodeFlags, entry],
    env: (port) => ({
      LISTEN_ADDR: `127.0.0.1:${port}`,
      METRICS_ADDR: '127.0.0.1:0',
      IP_POOL: '127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5',
      ALLOW_TARGETS: 'loopback',
      RATE_LIMIT_BURST: '0',
      MAX_TUNNELS_PER_CLIENT: '0',
      MAX_CONNECTIONS_PER_CLIENT: '0',
      LOG_FORMAT: 'json',
      LOG_LEVEL: 'info',
      DRAIN_MS: '0',
      NODE_COMPILE_CACHE: compileCache,
    }),
  }
}
