import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findOnPath } from './find-on-path.ts'
import type { ServerCommand } from './measured-server.ts'

export interface HaproxyOptions {
  readonly originPort: number
  readonly threads: number
  /** Of the load. */
  readonly connections: number
  /** Whether it writes an access log, to its output. */
  readonly withLog: boolean
}

/** HAProxy as a reverse proxy that keeps its connections on both sides, or undefined where it is not installed. */
export function haproxyCommand(options: HaproxyOptions): ServerCommand | undefined {
  const command = findOnPath('haproxy')
  if (command === undefined) return undefined
  return {
    name: 'haproxy',
    command,
    args: (port, folder) => {
      const file = join(folder, 'haproxy.cfg')
      writeFileSync(file, configuration(port, options))
      return ['-db', '-f', file]
    },
  }
}

/**
 * `maxconn` must leave two files for each connection of what the process may have open. By default HAProxy closes idle
 * connections to the origin when it has a quarter of its files open, which here would be nearly always.
 */
function configuration(port: number, { originPort, threads, connections, withLog }: HaproxyOptions): string {
  return `
global
  nbthread ${threads}
  maxconn ${connections + 100}
  tune.pool-low-fd-ratio 99
  tune.pool-high-fd-ratio 100
  ${withLog ? 'log stdout format raw local0' : ''}
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 75s
  timeout http-keep-alive 75s
  option http-keep-alive
  option forwardfor
  http-reuse always
  ${withLog ? 'log global\n  option httplog' : ''}
frontend clients
  bind 127.0.0.1:${port}
  default_backend origin
backend origin
  server origin 127.0.0.1:${originPort}
`
}
