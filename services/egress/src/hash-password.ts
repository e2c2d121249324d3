/** Reads a password from its input, one line, and prints what the users file has behind a name and a colon. */

import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { version } from '@ipfleet/settings/version.ts'
import { hashPassword, showPasswordHash } from './auth/password-hash.ts'

const help = `Usage: hash-password [--help | --version]

Reads a password from standard input, one line, and prints its hash for USERS_FILE.
`

if (process.argv.length > 2) {
  const [, , option] = process.argv
  const known = option === '--version' ? `ipfleet-hash-password ${version}\n` : option === '--help' ? help : undefined
  // The argument is not repeated: it may be the password.
  process.stderr.write(
    known === undefined ? 'hash-password: takes no argument; the password is read from its input\n' : '',
  )
  process.stdout.write(known ?? '')
  process.exit(known === undefined ? 2 : 0)
}

const isTerminal = process.stdin.isTTY
if (isTerminal) process.stderr.write('Password: ')

// Without an output that shows them, a terminal does not echo what is typed.
const hidden = new Writable({ write: (_chunk, _encoding, done) => done() })
const lines = createInterface({ input: process.stdin, output: hidden, terminal: isTerminal })
const { value: password } = await lines[Symbol.asyncIterator]().next()
lines.close()
if (isTerminal) process.stderr.write('\n')

// eslint-disable-next-line no-control-regex -- Basic cannot carry control characters (RFC 7617 §2)
if (typeof password !== 'string' || password === '' || /[\u0000-\u001f\u007f]/.test(password)) {
  process.stderr.write('hash-password: the input has no password: one line, without control characters\n')
  process.exit(2)
}
process.stdout.write(`${showPasswordHash(await hashPassword(password))}\n`)
