import { describe, expect, test } from '@jest/globals'
import { ReplyError } from 'ioredis'
import { isReplyError, RedisUnavailable } from './redis-unavailable.ts'

/** ioredis types the class as `any`. */
const replyError = (message: string): Error => new (ReplyError as new (message: string) => Error)(message)

describe('why Redis gave no answer', () => {
  test.each([
    ["OOM command not allowed when used memory > 'maxmemory'.", 'full'],
    ["READONLY You can't write against a read only replica.", 'down'],
    ['BUSY Redis is busy running a script.', 'down'],
    ['LOADING Redis is loading the dataset in memory', 'down'],
    ['MASTERDOWN Link with MASTER is down', 'down'],
    ['CLUSTERDOWN The cluster is down', 'down'],
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'moving'],
    ['NOREPLICAS Not enough good replicas to write.', 'refused'],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', 'refused'],
    ['BUSYGROUP Consumer Group name already exists', 'reply'],
    ['ERR unknown command', 'refused'],
  ] as const)('the reply "%s" counts as %s', (message, reason) => {
    const cause = replyError(message)
    expect(RedisUnavailable.from(cause)).toMatchObject({ reason, cause, name: 'RedisUnavailable' })
  })

  test('anything that is no reply of the server counts as down', () => {
    expect(RedisUnavailable.from(new Error('Connection is closed.')).reason).toBe('down')
    expect(RedisUnavailable.from('odd').reason).toBe('down')
  })

  test('what is already translated stays as it is', () => {
    const timeout = new RedisUnavailable('timeout')
    expect(RedisUnavailable.from(timeout)).toBe(timeout)
  })

  test('only what the server said is a reply error', () => {
    expect(isReplyError(replyError('ERR'))).toBe(true)
    expect(isReplyError(new Error('ERR'))).toBe(false)
  })
})
