import type { Readable, Writable } from 'node:stream'
import type { Environment } from '@ipfleet/settings/sources.ts'
import { runBulk } from './bulk-run.ts'
import { CommandFault, exitCodes, reported } from './command-fault.ts'
import { type Invocation, parseCommandLine } from './command-line.ts'
import type { CommandSettings } from './command-options.ts'
import { displayOn } from './display.ts'
import { runGrep, runRanges } from './local-commands.ts'

export interface CommandProcess {
  readonly settings: CommandSettings
  /** For a fleet that is started for the run. */
  readonly env: Environment
  /** Where relative paths begin. */
  readonly folder: string
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable & { readonly isTTY?: boolean }
  /** Aborts with a `Stopped`. */
  readonly signal: AbortSignal
}

/** @param words the arguments, from the command's name on. @returns the exit code */
export async function runCommand(words: readonly string[], process: CommandProcess): Promise<number> {
  const { settings, stdin, stdout, stderr, signal } = process
  const name = words[0] === 'bulk' ? 'bulk' : 'ipfleet'
  const plain = displayOn({ name, kind: 'quiet', stream: stderr, resultsAreShown: false })
  let invocation: Invocation
  try {
    invocation = parseCommandLine(words, { settings, stdinIsTerminal: stdin.isTTY === true })
  } catch (error) {
    if (!(error instanceof CommandFault)) throw error
    plain.fault(`${error.message} (--help lists the options)`)
    return error.exitCode
  }
  // What waits for more of it would not see the signal.
  signal.addEventListener('abort', () => stdin.destroy())
  try {
    if (invocation.command === 'grep') return await runGrep(invocation.options, process)
    if (invocation.command === 'ranges') return await runRanges(invocation.options, process)
  } catch (error) {
    return reported(signal.aborted ? signal.reason : error, plain)
  }
  if (invocation.command === 'text') {
    stdout.write(invocation.text)
    return exitCodes.done
  }
  const { options } = invocation
  const resultsAreShown = options.output === undefined && stdout.isTTY === true
  const display = displayOn({ name, kind: options.display, stream: stderr, resultsAreShown })
  return runBulk(options, { ...process, display })
}
