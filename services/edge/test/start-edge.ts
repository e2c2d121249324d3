import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ServiceProcess, startService } from '@ipfleet/testing/service-process.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'

const entry = fileURLToPath(new URL('../src/main.ts', import.meta.url))

/** An edge as its own process. */
export interface RunningEdge extends ServiceProcess, AsyncDisposable {
  /** Replaces its file, which it reads again at SIGHUP. */
  rewrite(toml: string): Promise<void>
}

export interface EdgeFile {
  /** Ports of backends on 127.0.0.1. */
  readonly backends: readonly number[]
  /** Further lines of `[server]`. */
  readonly server?: string
  /** Further lines of `[upstreams]`. */
  readonly upstreams?: string
  /** Further tables. */
  readonly tables?: string
}

export interface EdgeStart extends EdgeFile {
  readonly env?: Readonly<Record<string, string>>
  readonly nodeFlags?: readonly string[]
}

/** Starts an edge on a free port of 127.0.0.1, with a TOML file of its own. It retries nothing unless told to. */
export function startEdge({ env, nodeFlags, ...file }: EdgeStart): Promise<RunningEdge> {
  return startEdgeFrom(edgeToml(file), env, nodeFlags)
}

/** The file of `startEdge`, as text. */
export function edgeToml({
  backends,
  server = '',
  upstreams = '',
  tables = '[retry]\nattempts = 0',
}: EdgeFile): string {
  const urls = backends.map((port) => `"http://127.0.0.1:${port}"`).join(', ')
  const lines = ['[server]', 'listen = "127.0.0.1:0"', server, '[upstreams]', `backends = [${urls}]`, upstreams, tables]
  return lines.join('\n')
}

/** Starts an edge with this TOML file. Nothing is drained when it stops, unless DRAIN_MS says so. */
export async function startEdgeFrom(
  toml: string,
  env: Readonly<Record<string, string>> = {},
  nodeFlags: readonly string[] = [],
): Promise<RunningEdge> {
  const folder = await temporaryFolder('edge')
  const file = join(folder.path, 'proxy.toml')
  await writeFile(file, toml)
  try {
    const edge = await startService({
      entry,
      name: 'edge',
      args: ['--config', file],
      nodeFlags,
      env: { LOG_FORMAT: 'json', DRAIN_MS: '0', ...env },
    })
    const stop = async () => {
      const exit = await edge.stop()
      await folder.remove()
      return exit
    }
    return {
      ...edge,
      stop,
      rewrite: (next) => writeFile(file, next),
      [Symbol.asyncDispose]: async () => void (await stop()),
    }
  } catch (error) {
    await folder.remove()
    throw error
  }
}
