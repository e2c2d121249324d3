import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findOnPath } from './find-on-path.ts'
import type { ServerCommand } from './measured-server.ts'

/** Squid as a forward proxy for this machine, without a cache and without a log, or undefined where it is not installed. */
export function squidCommand(): ServerCommand | undefined {
  const command = findOnPath('squid')
  if (command === undefined) return undefined
  return {
    name: 'squid',
    command,
    args: (port, folder) => {
      const file = join(folder, 'squid.conf')
      writeFileSync(file, configuration(port))
      return ['-N', '-f', file]
    },
  }
}

/** Started by root, Squid becomes another user, who may not write into the folder. */
function configuration(port: number): string {
  return `
http_port 127.0.0.1:${port}
acl local_targets dst 127.0.0.0/8
http_access allow localhost local_targets
http_access deny all
cache deny all
access_log none
cache_log /dev/null
pid_filename none
pinger_enable off
client_db off
shutdown_lifetime 0 seconds
`
}
