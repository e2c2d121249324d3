/** What the command ends with; `help-text.ts` tells the user the same. */
export const exitCodes = { done: 0, failed: 1, usage: 2, someFailed: 3 } as const

/** The end of the command, in words for whoever typed it. They hold no secret. */
export class CommandFault extends Error {
  override readonly name = 'CommandFault'
  readonly exitCode: 1 | 2

  constructor(exitCode: 1 | 2, message: string, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** Something on the command line that cannot be meant. */
export const usageFault = (message: string): CommandFault => new CommandFault(exitCodes.usage, message)

/** Something that went wrong although the command line is fine. */
export const failure = (message: string, cause?: unknown): CommandFault =>
  new CommandFault(exitCodes.failed, message, { cause })
