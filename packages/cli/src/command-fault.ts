import { exitCodeOf } from '@ipfleet/core/stop-signals.ts'

/** `ipfleet bulk --help` documents them. */
export const exitCodes = { done: 0, failed: 1, usage: 2, someFailed: 3 } as const

/** The end of the command, with a message for the user, which holds no secret. */
export class CommandFault extends Error {
  override readonly name = 'CommandFault'
  readonly exitCode: 1 | 2

  constructor(exitCode: 1 | 2, message: string, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** The job whose results were awaited was cancelled by another. */
export class JobCancelled extends CommandFault {
  constructor(id: string) {
    super(exitCodes.failed, `the job ${id} was cancelled`)
  }
}

export const usageFault = (message: string): CommandFault => new CommandFault(exitCodes.usage, message)

/** A failure in spite of a correct command line. */
export const failure = (message: string, cause?: unknown): CommandFault =>
  new CommandFault(exitCodes.failed, message, { cause })

export class Stopped extends Error {
  override readonly name = 'Stopped'
  /** As shells have it: 130 for SIGINT. */
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`)
    this.exitCode = exitCodeOf(signal)
  }
}

/** The reader of the results has closed the pipe, as `head` does. */
export class ReaderLeft extends Error {
  override readonly name = 'ReaderLeft'
}

/** Reports why a command ends early. @returns the exit code */
export function reported(why: unknown, display: { fault(text: string): void }): number {
  if (why instanceof Stopped) return why.exitCode
  if (why instanceof ReaderLeft) return exitCodes.done
  display.fault(why instanceof Error ? why.message : String(why))
  return why instanceof CommandFault ? why.exitCode : exitCodes.failed
}
