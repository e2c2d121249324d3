import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { edgeFlags } from '@ipfleet/testing/memory-flags.ts'
import { compileCache, type ServerCommand } from './measured-server.ts'

export interface EdgeServerOptions {
  readonly backends: readonly string[]
  readonly balance?: 'round-robin' | 'hash'
  readonly workers?: number
  /** That one client may have. */
  readonly connections?: number
  /** Counts each client against a limit that nobody reaches. */
  readonly withLimit?: boolean
  readonly env?: Readonly<Record<string, string>>
  /** Behind those of `npm run edge`. */
  readonly nodeFlags?: readonly string[]
  /** Further tables of its file. */
  readonly tables?: string
}

const entry = fileURLToPath(new URL('../../../services/edge/src/main.ts', import.meta.url))

/** The edge as `npm run edge` starts it, in front of the backends, with the access log as JSON and metrics on. */
export function edgeCommand(options: EdgeServerOptions): ServerCommand {
  const { nodeFlags = [], env } = options
  return {
    name: 'edge',
    command: process.execPath,
    args: (port, folder) => {
      const file = join(folder, 'proxy.toml')
      writeFileSync(file, configuration(port, options))
      return [...edgeFlags, ...nodeFlags, entry, '--config', file]
    },
    env: () => ({
      LOG_FORMAT: 'json',
      LOG_LEVEL: 'info',
      DRAIN_MS: '0',
      NODE_COMPILE_CACHE: compileCache,
      ...env,
    }),
  }
}

/** Idle clients stay for longer than any measurement takes. */
function configuration(port: number, options: EdgeServerOptions): string {
  const { backends, balance = 'round-robin', workers = 1, connections = 64, withLimit = false, tables = '' } = options
  return `
[server]
listen = "127.0.0.1:${port}"
workers = ${workers}
max_connections = ${connections + spare}
max_connections_per_client = ${connections + spare}
keep_alive_seconds = 600

[upstreams]
backends = ${JSON.stringify(backends)}
balance = "${balance}"

[metrics]
enabled = true
${withLimit ? limit : ''}${tables}`
}

const spare = 100
const limit = `
[rate_limit]
max_requests = 1000000000
window_seconds = 60
key_extractor = "client_ip"
`
