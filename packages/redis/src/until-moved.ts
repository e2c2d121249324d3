import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { isMoving, RedisUnavailable } from './redis-unavailable.ts'

/** A slot with few keys has moved by then; one with many takes seconds. */
const moveRetries = 3
const moveRetryMs = 20

/**
 * A command that is tried again while the slot of its keys is half moved, in which nothing is done: several keys that are
 * not there yet are refused until all of the slot has moved.
 */
export function untilMoved<T>(command: (client: Redis) => Promise<T>): (client: Redis) => Promise<T> {
  return async (client) => {
    for (let left = moveRetries; ; left -= 1) {
      try {
        return await command(client)
      } catch (error) {
        if (left === 0 || !isMoving(RedisUnavailable.from(error))) throw error
        await sleep(moveRetryMs)
      }
    }
  }
}
