import { fileURLToPath } from 'node:url'
import { compileCache, type ServerCommand } from './measured-server.ts'

const entry = fileURLToPath(new URL('proxy-chain-main.ts', import.meta.url))

/** proxy-chain in a process of its own, without a log. */
export function proxyChainCommand(): ServerCommand {
  return commandOf('proxy-chain', [])
}

/**
 * The same with what the egress is for: connections that leave from four addresses, in turn. Not from those of the
 * egress: Linux would pass over every port that the egress has just had there, and take its time over it.
 */
export function boundProxyChainCommand(): ServerCommand {
  return commandOf('proxy-chain bound', ['127.0.0.12', '127.0.0.13', '127.0.0.14', '127.0.0.15'])
}

function commandOf(name: string, addresses: readonly string[]): ServerCommand {
  return {
    name,
    command: process.execPath,
    args: (port) => [entry, String(port), ...addresses],
    env: () => ({ NODE_COMPILE_CACHE: compileCache }),
  }
}
