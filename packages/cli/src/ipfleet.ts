#!/usr/bin/env node
/** `npx --no-install ipfleet`, `npm run bulk`. `command-line.ts` says what it takes. */

import { exitCodeOf, onStopSignals } from '@ipfleet/core/stop-signals.ts'
import { secret } from '@ipfleet/settings/kinds.ts'
import { url } from '@ipfleet/settings/url-setting.ts'
import { loadedOrExit } from '@ipfleet/settings/loaded-or-exit.ts'
import type { Environment } from '@ipfleet/settings/sources.ts'
import { Stopped } from './command-fault.ts'
import type { CommandSettings } from './command-options.ts'
import { runCommand } from './run-command.ts'

const words = process.argv.slice(2)
// It replaces the arguments in lists of processes, where every user could read a token.
process.title = 'ipfleet-command'

const settingsSchema = {
  IPFLEET_URL: url({ protocols: ['http:', 'https:'], optional: true, help: 'The fleet that is asked, as --url' }),
  IPFLEET_TOKEN: secret({ optional: true, help: 'A client’s token of that fleet, as --token' }),
}

/** Reads only the environment: the arguments of this command are not those of a service. */
function settingsAndEnvironment(): { settings: CommandSettings; env: Environment } {
  const { settings, further } = loadedOrExit(settingsSchema, {
    program: 'ipfleet',
    summary: '',
    argv: [],
    further: { about: '', rows: [], read: ({ env }) => ({ kind: 'value', value: env }) },
  })
  return { settings, env: further }
}

/** npm runs scripts in the folder of the repository, wherever it is called. */
function callersFolder(env: Environment): string {
  const called = env['npm_lifecycle_event'] === 'bulk' ? env['INIT_CWD'] : undefined
  return called ?? process.cwd()
}

/** Aborts with a `Stopped` at the first signal. A second one, a second or more later, ends this process at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  onStopSignals({
    onFirst: (signal) => stop.abort(new Stopped(signal)),
    onAgain: (signal) => process.exit(exitCodeOf(signal)),
  })
  return stop.signal
}

// Each write reports its own failure; without a listener a closed pipe would be an exception too.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

// Standard input that is not read to its end would keep the process alive.
const { settings, env } = settingsAndEnvironment()
const { stdin, stdout, stderr } = process
process.exit(
  await runCommand(words, { settings, env, folder: callersFolder(env), stdin, stdout, stderr, signal: stopSignal() }),
)
