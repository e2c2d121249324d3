import { EventEmitter } from 'node:events'
import { FileFollower, type FollowOptions } from '@ipfleet/core/file-follower.ts'
import { readText } from '@ipfleet/settings/sources.ts'
import { readUsers, type Users } from './users.ts'

export type ReadUsersFile =
  | { readonly kind: 'users'; readonly users: Users }
  /** Each begins with where it is: `/etc/users line 3: …`. */
  | { readonly kind: 'faults'; readonly faults: readonly string[] }

export function readUsersFile(path: string): ReadUsersFile {
  const content = readText(path)
  if (content.kind === 'failed') return { kind: 'faults', faults: [`${path} cannot be read (${content.code})`] }
  const read = readUsers(content.text)
  if (read.kind === 'users') return read
  return { kind: 'faults', faults: read.faults.map(({ line, message }) => `${path} line ${line}: ${message}`) }
}

interface UsersFileEvents {
  /** These users are valid from now on. */
  changed: [users: Users]
  /** The file has become invalid, or is gone. The previous users stay valid. Emitted once until it changes. */
  bad: [faults: readonly string[]]
}

/** The users of a file that may be edited while it is in use. */
export class UsersFile extends EventEmitter<UsersFileEvents> {
  readonly #path: string
  readonly #follower: FileFollower
  #users: Users

  /** `users`: what the file held at the start. The path is absolute. */
  constructor(path: string, users: Users) {
    super()
    this.#path = path
    this.#users = users
    this.#follower = new FileFollower(path, async () => this.#read())
    this.#follower.markSeen()
  }

  /** Another object after each change. */
  get users(): Users {
    return this.#users
  }

  follow(options: FollowOptions = {}): void {
    this.#follower.start(options)
  }

  close(): void {
    this.#follower.close()
    this.removeAllListeners()
  }

  #read(): void {
    const read = readUsersFile(this.#path)
    if (read.kind === 'faults') {
      this.emit('bad', read.faults)
      return
    }
    this.#users = read.users
    this.emit('changed', read.users)
  }
}
