import { resolve } from 'node:path'
import type { Further } from '@ipfleet/settings/load-settings.ts'
import { loadedOrExit } from '@ipfleet/settings/loaded-or-exit.ts'
import type { Users } from '../auth/users.ts'
import { readUsersFile } from '../auth/users-file.ts'
import { type EgressSettings, settingsSchema } from '../settings.ts'
import { settingsRules } from '../settings-rules.ts'

export interface EgressOptions {
  readonly settings: EgressSettings
  /** USERS_FILE and what it holds; undefined when it is not set. */
  readonly usersFile: { readonly path: string; readonly users: Users } | undefined
}

/** For the first line of `start.ts`: the environment and the users file, or the end of the process as in `loadedOrExit`. */
export function egressOptionsOrExit(): EgressOptions {
  const { settings, further } = loadedOrExit(settingsSchema, {
    program: 'egress',
    summary: 'The forward proxy whose connections leave from the addresses of a pool, in turn.',
    rules: settingsRules,
    further: usersFile,
  })
  return { settings, usersFile: further }
}

const usersFile: Further<EgressOptions['usersFile']> = {
  about:
    'A line of USERS_FILE is name:hash, the hash as src/hash-password.ts prints it, and behind that what holds for the ' +
    'user: burst=, refill= and tunnels= instead of the settings, allow= for the only targets it may go to, ips= for the ' +
    'source addresses it may choose.',
  rows: [],
  read: ({ env, cwd }) => {
    const given = env['USERS_FILE']?.trim() ?? ''
    if (given === '') return { kind: 'value', value: undefined }
    const path = resolve(cwd, given)
    const read = readUsersFile(path)
    if (read.kind === 'users') return { kind: 'value', value: { path, users: read.users } }
    return { kind: 'faults', faults: read.faults.map((message) => ({ name: 'USERS_FILE', message })) }
  },
}
