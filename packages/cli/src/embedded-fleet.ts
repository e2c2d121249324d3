import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Environment } from '@ipfleet/settings/sources.ts'
import { failure } from './command-fault.ts'
import { isRecord, parseJson } from '@ipfleet/core/json.ts'

/** A fleet of one that lives as long as the run. */
export interface EmbeddedFleet {
  readonly url: string
  stop(): Promise<void>
}

/** It is started as a program, and not imported. */
const lookupEntry = fileURLToPath(new URL('../../../services/lookup/src/main.ts', import.meta.url))
const endWithParent = new URL('./end-with-parent.ts', import.meta.url).href

const startTimeoutMs = 60_000
const stopGraceMs = 5000

/** Defaults: a list may take hours and repeat an address at its end. */
const lasting: Environment = { CACHE_TTL_SECONDS: '86400', CACHE_MAX_ENTRIES: '50000' }
const own: Environment = { PORT: '0', HOST: '127.0.0.1', LOG_FORMAT: 'json', LOG_LEVEL: 'info', DRAIN_MS: '0' }

/**
 * Starts a lookup replica on a free port of the loopback interface. Ctrl-C does not reach it: it ends when it is
 * stopped, or with this process.
 * @param env its settings, such as IPINFO_KEYS
 * @param note called with its warnings
 * @throws CommandFault when it does not come up; the signal's reason when it aborts
 */
export async function startEmbeddedFleet(
  env: Environment,
  note: (text: string) => void,
  signal: AbortSignal,
): Promise<EmbeddedFleet> {
  const child = spawn(process.execPath, [...process.execArgv, '--import', endWithParent, lookupEntry], {
    env: { ...lasting, ...env, ...own },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  })
  const stop = (): Promise<void> => stopChild(child)
  try {
    const port = await portOf(child, note, AbortSignal.any([signal, AbortSignal.timeout(startTimeoutMs)]))
    return { url: `http://127.0.0.1:${port}`, stop }
  } catch (error) {
    await stop()
    signal.throwIfAborted()
    throw error
  }
}

async function portOf(child: ChildProcess, note: (text: string) => void, signal: AbortSignal): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const faults: string[] = []
  const read = (line: string): void => {
    const entry = parseJson(line)
    if (!isRecord(entry)) faults.push(line)
    else if (entry['msg'] === 'listening') resolve(Number(entry['port']))
    else if (entry['level'] === 'fatal') faults.push(String(entry['msg']))
    else if (entry['level'] === 'warn' || entry['level'] === 'error') note(`embedded fleet: ${String(entry['msg'])}`)
  }
  const whyNot = (): Error => failure(['the embedded fleet does not start', ...faults].join('\n  '))
  for (const stream of [child.stdout, child.stderr]) if (stream) createInterface({ input: stream }).on('line', read)
  child.once('error', () => reject(whyNot()))
  child.once('close', () => reject(whyNot()))
  signal.addEventListener('abort', () => reject(whyNot()), { once: true })
  return promise
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopGraceMs)
  await ended
  clearTimeout(timer)
}
