import { exitCodeOf, onStopSignals } from '@ipfleet/core/stop-signals.ts'

/** Why a run was stopped. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
  /** As shells have it: 130 for SIGINT. */
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`)
    this.exitCode = exitCodeOf(signal)
  }
}

/** Aborts with a `Stopped` at the first signal. A second one, a second or more later, ends this process at once. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController()
  onStopSignals({
    onFirst: (signal) => stop.abort(new Stopped(signal)),
    onAgain: (signal) => process.exit(exitCodeOf(signal)),
  })
  return stop.signal
}
