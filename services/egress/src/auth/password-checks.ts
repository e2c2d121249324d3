import { createHmac, randomBytes } from 'node:crypto'
import { isPasswordOf, type PasswordHash, unreachableHash } from './password-hash.ts'
import type { Users } from './users.ts'

/** Hashing takes one of four threads that also look names up; two are left to them. */
const maxAtOnce = 2
const maxWaiting = 100
const maxRemembered = 10_000

export interface Check {
  readonly isRight: Promise<boolean>
  /** The same pair was being checked already. */
  readonly isShared: boolean
}

/** What is known of the passwords of one set of users. */
interface Known {
  /** Keyed hashes of right pairs of user and password, oldest first. */
  readonly right: Set<string>
  readonly underWay: Map<string, Promise<boolean>>
  /** For users that are not there. */
  readonly decoy: PasswordHash
}

/**
 * Checks passwords of users that are stored as slow hashes: each right pair once, and from then on by a keyed hash of it
 * that is of no use outside of this process. A changed set of users is another object, and nothing is known of it yet.
 */
export class PasswordChecks {
  readonly #key = randomBytes(32)
  readonly #known = new WeakMap<Users, Known>()
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** Whether the pair is known to be right. False says nothing. */
  isKnown(users: Users, name: string, password: string): boolean {
    return this.#known.get(users)?.right.has(this.#digest(name, password)) ?? false
  }

  /** Takes as long for a user who is not there. Undefined: too many wait already, and nothing is checked. */
  check(users: Users, name: string, password: string): Check | undefined {
    const known = this.#knownOf(users)
    const digest = this.#digest(name, password)
    const underWay = known.underWay.get(digest)
    if (underWay !== undefined) return { isRight: underWay, isShared: true }
    if (this.#waiting.length >= maxWaiting) return undefined
    const isRight = this.#inTurn(users.get(name)?.password ?? known.decoy, password)
      .then((right) => {
        if (right) remember(known.right, digest)
        return right
      })
      .finally(() => known.underWay.delete(digest))
    known.underWay.set(digest, isRight)
    return { isRight, isShared: false }
  }

  async #inTurn(hash: PasswordHash, password: string): Promise<boolean> {
    if (this.#running >= maxAtOnce) await new Promise<void>((resolve) => void this.#waiting.push(resolve))
    else this.#running += 1
    try {
      return await isPasswordOf(hash, password)
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
  }

  #knownOf(users: Users): Known {
    const known = this.#known.get(users)
    if (known !== undefined) return known
    const [first] = users.values()
    const made: Known = { right: new Set(), underWay: new Map(), decoy: unreachableHash(first?.password) }
    this.#known.set(users, made)
    return made
  }

  #digest(name: string, password: string): string {
    return createHmac('sha256', this.#key).update(`${name}\0${password}`).digest('base64')
  }
}

function remember(right: Set<string>, digest: string): void {
  right.add(digest)
  if (right.size <= maxRemembered) return
  const [oldest] = right
  if (oldest !== undefined) right.delete(oldest)
}
