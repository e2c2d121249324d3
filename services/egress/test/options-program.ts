/** Prints what a proxy would start with: the settings, and the names of the users of the file. */

import { egressOptionsOrExit } from '../src/server/options.ts'

const { settings, usersFile } = egressOptionsOrExit()
process.stdout.write(`${JSON.stringify({ settings, users: usersFile && [...usersFile.users.keys()] })}\n`)
