import { expect, test } from '@jest/globals'
import { within } from './within.ts'

test('gives what comes in time, and undefined for what does not', async () => {
  expect(await within(1000, Promise.resolve('here'))).toBe('here')
  expect(await within(1, new Promise(() => undefined))).toBeUndefined()
})

test('rejects as the work does', async () => {
  await expect(within(1000, Promise.reject(new Error('away')))).rejects.toThrow('away')
})
