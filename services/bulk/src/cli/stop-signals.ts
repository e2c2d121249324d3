import { constants } from 'node:os'

/** A second signal within this time is the same Ctrl-C: the terminal sends it to the group, npm passes it on. */
const sameSignalMs = 500

/** Why a run was stopped. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
  /** As shells have it: 130 for SIGINT. */
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`)
    this.exitCode = 128 + constants.signals[signal]
  }
}

/** Aborts with a `Stopped` at the first signal. A second one, later, ends this process at once. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController()
  let firstAtMs = 0
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted && performance.now() - firstAtMs > sameSignalMs) process.exit(new Stopped(signal).exitCode)
    if (stop.signal.aborted) return
    firstAtMs = performance.now()
    stop.abort(new Stopped(signal))
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  return stop.signal
}
