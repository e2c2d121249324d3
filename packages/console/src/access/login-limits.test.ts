import { expect, test } from '@jest/globals'
import { LoginLimits } from './login-limits.ts'

const right = async (): Promise<boolean> => true
const fail = () => Promise.reject(Object.assign(new Error('away'), { code: 'away' }))
const codeOf = (attempt: Promise<unknown>): Promise<unknown> =>
  attempt.then(
    () => 'judged',
    (error: { code: string; retryAfterSeconds?: number }) => [error.code, error.retryAfterSeconds],
  )

test('of one address five logins wait at a time, of all addresses fifty; the others are told when to come again', async () => {
  const limits = new LoginLimits(undefined)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const ofOne = Array.from({ length: 6 }, () => codeOf(limits.try('192.0.2.1', () => promise)))
  const ofOthers = Array.from({ length: 46 }, (_, index) => codeOf(limits.try(`192.0.2.${index + 2}`, right)))
  expect([await ofOne[5], await ofOthers[45]]).toEqual([
    ['client_share', 5],
    ['overloaded', 5],
  ])
  resolve(true)
  expect(await Promise.all([...ofOne.slice(0, 5), ...ofOthers.slice(0, 45)])).toEqual(Array(50).fill('judged'))
  expect(await codeOf(limits.try('192.0.2.1', right))).toBe('judged')
})

test('an attempt that fails by an error gives its place back', async () => {
  const limits = new LoginLimits(undefined)
  for (let time = 0; time < 7; time += 1) {
    expect(await codeOf(limits.try('192.0.2.1', fail))).toEqual(['away', undefined])
  }
})
