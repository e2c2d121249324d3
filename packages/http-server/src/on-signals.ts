import { exitCodeOf, onStopSignals, stopSignals } from '@ipfleet/core/stop-signals.ts'
import { within } from '@ipfleet/core/within.ts'

export interface OnSignalsOptions {
  /** Closes everything the process has open. */
  readonly stop: (signal: NodeJS.Signals) => Promise<void>
  readonly log: {
    error(fields: object, message: string): void
    flush?(done: (error?: Error) => void): void
  }
  /** Default: SIGTERM, SIGINT and SIGHUP. */
  readonly signals?: readonly NodeJS.Signals[]
  /** Synchronous; called before a second signal ends the process. */
  readonly onForcedEnd?: () => void
}

/**
 * The first signal stops the process: exit code 0, or 1 if stopping failed. A second one, a second or more later, ends
 * it at once with the code that shells expect (130 for SIGINT, 143 for SIGTERM). Returns a function that removes the
 * listeners.
 */
export function onSignals({ stop, log, signals = stopSignals, onForcedEnd }: OnSignalsOptions): () => void {
  const stopThenExit = async (signal: NodeJS.Signals): Promise<void> => {
    let exitCode = 0
    try {
      await stop(signal)
    } catch (error) {
      log.error({ err: error }, 'could not stop cleanly')
      exitCode = 1
    }
    await exit(exitCode, log, lastFlushMs)
  }
  const endAtOnce = (signal: NodeJS.Signals): void => {
    onForcedEnd?.()
    void exit(exitCodeOf(signal), log, forcedFlushMs)
  }
  return onStopSignals({ onFirst: (signal) => void stopThenExit(signal), onAgain: endAtOnce }, signals)
}

/** Long enough for a busy machine, on which a write of the log can take over a second. */
const lastFlushMs = 3000
const forcedFlushMs = 100

/**
 * Writes what the log still holds, for `patienceMs` at most, and ends the process without its `exit` listeners, which would
 * wait for a slow reader of the log once more.
 */
async function exit(code: number, log: OnSignalsOptions['log'], patienceMs: number): Promise<never> {
  await within(patienceMs, flushed(log))
  process.removeAllListeners('exit')
  return process.exit(code)
}

function flushed(log: OnSignalsOptions['log']): Promise<void> {
  return new Promise((resolve) => {
    if (log.flush) log.flush(() => resolve())
    else resolve()
  })
}
