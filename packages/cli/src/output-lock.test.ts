import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, test } from '@jest/globals'
import { lockOutput } from './output-lock.ts'

let client: Socket | undefined
afterEach(() => void client?.destroy())

test('a program that has connected to the lock does not hold up its release', async () => {
  const path = join(import.meta.dirname, `not-there-${process.pid}.csv`)
  const lock = await lockOutput(path, 'out.csv')
  client = connect(`\0ipfleet-output-${createHash('sha256').update(path).digest('hex')}`)
  await once(client, 'connect')
  await lock?.[Symbol.asyncDispose]()
  const again = await lockOutput(path, 'out.csv')
  await again?.[Symbol.asyncDispose]()
  expect(again).toBeDefined()
})
