import type { Redis } from '@ipfleet/redis/connection.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import Redlock from 'redlock'
import type { FlightNames } from './flight-keys.ts'

/** Of a script of redlock, for which a subject is a key; `lifeMs` is not for releasing. */
type Arguments = readonly [subject: string, token: string, lifeMs?: number]

/**
 * The client that redlock is given for leases of subjects. The command that grants a lease also reads the outcome that
 * there is then: by itself that would be one more command for each load. Not on a Cluster, which refuses a command with
 * two keys while their slot is half moved.
 */
export class LeaseClient {
  /** Asks no more of its client than there is here. */
  readonly redlock: Redlock
  readonly #link: RedisLink
  readonly #names: FlightNames
  /** By the token of the lease that they came with. */
  readonly #outcomes = new Map<string, Buffer>()

  constructor(link: RedisLink, names: FlightNames) {
    this.#link = link
    this.#names = names
    const scripts = { acquireScript: withOutcome }
    this.redlock = new Redlock([this as unknown as Redis], { retryCount: 0 }, scripts)
  }

  evalsha(hash: string, _keys: number, args: Arguments): Promise<unknown> {
    return this.#send('EVALSHA', hash, args)
  }

  eval(script: string, _keys: number, args: Arguments): Promise<unknown> {
    return this.#send('EVAL', script, args)
  }

  /** What was read with the lease of this token; to be called once for each that was granted. */
  takeOutcome(token: string): Buffer | undefined {
    const outcome = this.#outcomes.get(token)
    if (outcome) this.#outcomes.delete(token)
    return outcome
  }

  async #send(command: 'EVALSHA' | 'EVAL', script: string, [subject, ...args]: Arguments): Promise<unknown> {
    const { client, isCluster } = this.#link
    const { lease, outcome } = this.#names
    const { hash, value } = this.redlock.scripts.acquireScript
    const tellsOutcome = !isCluster && (script === hash || script === value)
    const keys = tellsOutcome ? [lease(subject), outcome(subject)] : [lease(subject)]
    const reply = await client.callBuffer(command, script, keys.length, ...keys, ...(args as [string, number]))
    if (!Array.isArray(reply)) return reply
    const [granted, bytes] = reply as [number, Buffer | null]
    if (bytes) this.#outcomes.set(args[0], bytes)
    return granted
  }
}

/**
 * @param script in which every key is a lease; the outcome is a further one.
 * Returns with an outcome {1 when granted, else 0; the outcome's bytes or false}.
 */
const withOutcome = (script: string): string => `
local outcome = KEYS[2]
local KEYS = { KEYS[1] }
local granted = (function() ${script} end)()
if outcome == nil then return granted end
return { granted, granted == 1 and redis.call('GET', outcome) }`
