import { constants } from 'node:os'

export interface OnSignalsOptions {
  /** Closes everything the process has open. */
  readonly stop: (signal: NodeJS.Signals) => Promise<void>
  readonly log: {
    error(fields: object, message: string): void
    flush?(done: (error?: Error) => void): void
  }
  /** Default: SIGTERM and SIGINT. */
  readonly signals?: readonly NodeJS.Signals[]
}

/**
 * The first signal stops the process: exit code 0, or 1 if stopping failed. A second one ends it at once with the
 * code that shells expect (130 for SIGINT, 143 for SIGTERM). Gives a function that takes the handlers away.
 */
export function onSignals({ stop, log, signals = ['SIGTERM', 'SIGINT'] }: OnSignalsOptions): () => void {
  let stopping = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(128 + constants.signals[signal])
    stopping = true
    void stopThenExit(signal)
  }
  const stopThenExit = async (signal: NodeJS.Signals): Promise<void> => {
    let exitCode = 0
    try {
      await stop(signal)
    } catch (error) {
      log.error({ err: error }, 'could not stop cleanly')
      exitCode = 1
    }
    await flushed(log)
    process.exit(exitCode)
  }
  for (const signal of signals) process.on(signal, onSignal)
  return () => {
    for (const signal of signals) process.off(signal, onSignal)
  }
}

const flushPatienceMs = 1000

/**
 * Writes what the log still holds. When its reader has gone, sonic-boom 4.2.1 has to learn that by an ordinary write: in
 * the one that it makes at the exit of the process it tries again for ever (flushSync, after EPIPE).
 */
function flushed(log: OnSignalsOptions['log']): Promise<void> {
  if (log.flush === undefined) return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, flushPatienceMs)
    log.flush?.(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
