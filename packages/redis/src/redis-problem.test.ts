import { expect, test } from '@jest/globals'
import { problemOf } from './redis-problem.ts'

test.each([
  ["ERR unknown command 'EVALSHA', with args beginning with: '0'", undefined, 'EVALSHA'],
  ['ERR unknown command `subscribe`, with args beginning with: ', undefined, 'SUBSCRIBE'],
  ["NOPERM this user has no permissions to run the 'client|setname' command", undefined, 'CLIENT|SETNAME'],
  ["ERR unknown command 'HMGET' script: 7f923f, on @user_script:1.", 'take-key', 'take-key'],
])('%j names what was tried', (text, tried, named) => {
  expect(problemOf(new Error(text), undefined, tried)?.message).toContain(` (${named})`)
})

test('a full Redis 6.2 is known by what it says of a script', () => {
  const said = "-OOM command not allowed when used memory > 'maxmemory'."
  const error = new Error(`ERR Error running script (call to f_ab12): @user_script:33: @user_script: 33: ${said}`)
  expect(problemOf(error)?.code).toBe('OOM')
})
