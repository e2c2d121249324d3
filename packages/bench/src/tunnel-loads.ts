import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export interface TunnelLoad {
  readonly proxyPort: number
  /** host:port of each; in turn. */
  readonly targets: readonly string[]
  /** Tunnels at the same time; of no account for a load that has but one. */
  readonly connections: number
  readonly seconds: number
}

/** What a load got through a proxy. */
export interface TunnelLoadResult {
  /** Tunnels, or bytes. */
  readonly amount: number
  readonly errors: number
  readonly seconds: number
}

export type RunTunnelLoad = (load: TunnelLoad) => Promise<TunnelLoadResult>

const execute = promisify(execFile)

/** Tunnels that are opened, have one round trip and are closed. */
export const openAndClose: RunTunnelLoad = (load) => run('connect-load-main.ts', load)

/** Bytes that come through one tunnel. */
export const readStream: RunTunnelLoad = (load) => run('stream-load-main.ts', load)

/** Each load is a process of its own. */
async function run(entry: string, load: TunnelLoad): Promise<TunnelLoadResult> {
  const path = fileURLToPath(new URL(entry, import.meta.url))
  const { stdout } = await execute(process.execPath, [path, JSON.stringify(load)])
  const result: TunnelLoadResult = JSON.parse(stdout)
  return result
}
