import { homedir, tmpdir } from 'node:os'
import { compileCache } from './compile-cache.ts'
import { spawnGuarded, type ChildExit } from './service-process-child.ts'
import { waitUntilListening } from './service-process-port.ts'

export interface FleetMember {
  readonly name: string
  readonly entry: string
  readonly args: readonly string[]
  /** Added to PATH, HOME and a compile cache. */
  readonly env: Readonly<Record<string, string>>
  readonly port: number
}

export interface MemberContext {
  readonly print: (member: string, line: string) => void
  /** Told when a member ends that nobody has stopped. */
  readonly breakDown: (sentence: string) => void
  /** Gives up waiting for the member. */
  readonly signal: AbortSignal
}

const startTimeoutMs = 60_000
const stopTimeoutMs = 5_000

/**
 * Runs one member and waits until it accepts connections. The way to stop it is in `level` as soon as it runs.
 * Throws if it ends first or takes longer than 60 s.
 */
export async function startMember(
  member: FleetMember,
  context: MemberContext,
  level: (() => Promise<unknown>)[],
): Promise<void> {
  const { name, entry, args, env, port } = member
  context.signal.throwIfAborted()
  const child = await spawnGuarded(process.execPath, {
    args: [entry, ...args],
    env: { PATH: process.env['PATH'] ?? '', HOME: homedir(), ...compileCache, ...env },
    cwd: tmpdir(), // not the caller's: no `.env` of theirs is read
  })
  let stopping = false
  level.push(() => {
    stopping = true
    return child.stop(stopTimeoutMs)
  })
  child.onLine((line) => context.print(name, line))
  const timeout = AbortSignal.timeout(startTimeoutMs)
  const listening = waitUntilListening(port, AbortSignal.any([context.signal, timeout])).catch((error: unknown) => {
    if (timeout.aborted) throw new Error(`${name} does not listen on port ${port} after ${startTimeoutMs} ms`)
    throw error
  })
  const ended = child.exited.then((exit) => `${name} ended unexpectedly (${exitInWords(exit)})`)
  const early = await Promise.race([listening, ended])
  if (early !== undefined) throw new Error(early)
  const report = (sentence: string): void => {
    if (!stopping) context.breakDown(sentence)
  }
  void ended.then(report)
}

function exitInWords({ code, signal }: ChildExit): string {
  return signal === null ? `exit code ${code}` : signal
}
