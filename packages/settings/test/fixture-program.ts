/** A program that ends after its settings are read, to be run as a process of its own. */

import { integer, secret } from '../src/kinds.ts'
import { loadedOrExit } from '../src/loaded-or-exit.ts'

const { settings } = loadedOrExit(
  {
    PORT: integer({ default: 8080, min: 0, max: 65_535, help: 'TCP port to listen on' }),
    TOKEN: secret({ optional: true, help: 'Token' }),
  },
  { program: 'fixture', summary: 'A fixture.' },
)
process.stdout.write(`port ${settings.PORT.toFixed(0)}\n`)
