import { fileURLToPath } from 'node:url'
import { compileCache, type ServerCommand } from './measured-server.ts'

const entry = fileURLToPath(new URL('proxy-chain-main.ts', import.meta.url))

/** proxy-chain in a process of its own, without a log. */
export function proxyChainCommand(): ServerCommand {
  return {
    name: 'proxy-chain',
    command: process.execPath,
    args: (port) => [entry, String(port)],
    env: () => ({ NODE_COMPILE_CACHE: compileCache }),
  }
}
