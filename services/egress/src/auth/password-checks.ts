import { createHmac, randomBytes } from 'node:crypto'
import { forgetOldest } from '@ipfleet/core/forget-oldest.ts'
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

/**
 * Checks passwords against slow hashes: each right pair once, and from then on by a keyed hash of it that is useless
 * outside this process. The stored hash is in it, so a user whose password is changed is checked anew, and no other is.
 */
export class PasswordChecks {
  readonly #key = randomBytes(32)
  /** Keyed hashes of what was right, oldest first. */
  readonly #right = new Set<string>()
  readonly #underWay = new Map<string, Promise<boolean>>()
  /** For unknown users. */
  readonly #decoys = new WeakMap<Users, PasswordHash>()
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** Whether the pair is known to be right. False: it is not known. */
  isKnown(users: Users, name: string, password: string): boolean {
    const stored = users.get(name)?.password
    return stored !== undefined && this.#right.has(this.#digest(name, password, stored))
  }

  /** Takes the same time for an unknown user. Undefined if too many checks wait already. */
  check(users: Users, name: string, password: string): Check | undefined {
    const stored = users.get(name)?.password ?? this.#decoyOf(users)
    const digest = this.#digest(name, password, stored)
    const underWay = this.#underWay.get(digest)
    if (underWay !== undefined) return { isRight: underWay, isShared: true }
    if (this.#waiting.length >= maxWaiting) return undefined
    const isRight = this.#inTurn(stored, password)
      .then((right) => {
        if (right) remember(this.#right, digest)
        return right
      })
      .finally(() => this.#underWay.delete(digest))
    this.#underWay.set(digest, isRight)
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

  #decoyOf(users: Users): PasswordHash {
    return this.#decoys.getOrInsertComputed(users, () => unreachableHash(users.values().next().value?.password))
  }

  /** Neither name nor password has control characters. */
  #digest(name: string, password: string, { hash }: PasswordHash): string {
    return createHmac('sha256', this.#key).update(`${name}\0${password}\0`).update(hash).digest('base64')
  }
}

/** Adds a digest to a set of limited size, from which the oldest is dropped. */
export function remember(digests: Set<string>, digest: string): void {
  digests.add(digest)
  forgetOldest(digests, maxRemembered)
}
