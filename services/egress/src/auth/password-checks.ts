import { createHmac, randomBytes } from 'node:crypto'
import { isPasswordOf, type PasswordHash, unreachableHash } from './password-hash.ts'
import type { Users } from './users.ts'

/** A hash occupies one of the four threads of libuv, which also look names up; two are left to look-ups. */
const maxAtOnce = 2
const maxWaiting = 100
const maxRemembered = 10_000

export interface Check {
  readonly isRight: Promise<boolean>
  /** Another request is having the same pair checked. */
  readonly isShared: boolean
}

/** The results for one set of users. */
interface Known {
  /** Keyed hashes of right pairs of user and password, oldest first. */
  readonly right: Set<string>
  readonly underWay: Map<string, Promise<boolean>>
  /** For unknown users. */
  readonly decoy: PasswordHash
}

/**
 * Checks passwords against slow hashes: each right pair once, and from then on by a keyed hash of it that is useless
 * outside this process. A changed set of users is another object, of which nothing is known yet.
 */
export class PasswordChecks {
  readonly #key = randomBytes(32)
  readonly #known = new WeakMap<Users, Known>()
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** Whether the pair is known to be right. False: it is not known. */
  isKnown(users: Users, name: string, password: string): boolean {
    return this.#known.get(users)?.right.has(this.#digest(name, password)) ?? false
  }

  /** Takes the same time for an unknown user. Undefined if too many checks wait already. */
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

/** Adds a digest to a set of limited size, from which the oldest is dropped. */
export function remember(digests: Set<string>, digest: string): void {
  digests.add(digest)
  if (digests.size <= maxRemembered) return
  const [oldest] = digests
  if (oldest !== undefined) digests.delete(oldest)
}
