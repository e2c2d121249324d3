import { constants } from 'node:os'

/**
 * A second signal within this time is the same Ctrl-C: the terminal signals the whole process group, and npm 11 passes
 * its own signal on some 30 ms later.
 */
export const sameSignalMs = 1000

export const stopSignals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP']

export interface StopHandlers {
  readonly onFirst: (signal: NodeJS.Signals) => void
  /** Called for a signal that comes `sameSignalMs` or more after the first. */
  readonly onAgain: (signal: NodeJS.Signals) => void
}

/** Tells the first request to stop from a later, impatient one. Returns a function that removes the listeners. */
export function onStopSignals({ onFirst, onAgain }: StopHandlers, signals = stopSignals): () => void {
  let firstAtMs: number | undefined
  const onSignal = (signal: NodeJS.Signals): void => {
    const nowMs = performance.now()
    if (firstAtMs === undefined) {
      firstAtMs = nowMs
      onFirst(signal)
    } else if (nowMs - firstAtMs >= sameSignalMs) {
      onAgain(signal)
    }
  }
  for (const signal of signals) process.on(signal, onSignal)
  return () => {
    for (const signal of signals) process.off(signal, onSignal)
  }
}

/** The exit code that shells give a process which a signal ended: 130 for SIGINT, 143 for SIGTERM. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}
