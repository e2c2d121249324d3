import { writeFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { expect, test } from '@jest/globals'
import { CommandGround } from '@ipfleet/testing/command-ground.ts'
import { InputReader } from './input-reader.ts'
import { ownByReading } from './list-output.ts'
import { givenSource, sourcesOf } from './sources.ts'

/** 60,000 times `8.8.8.8`, more than is read to tell what a list is. */
const xz =
  '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj51L/AI9dABwLnwQVf+QwM38PTOM7lA0LC+luMxEeqmWdYL2AWmIMDw6lMLIMAcmomqtmyoZ5VamhATIvvt/2GlsSV/1fA/SKUTSO8ZGYhW7oV4V1z/rYC2PSGm3d/mCx0uDNI0DHXjgPQye5jtpm4U7qPZlJFiuV+Uf6TudS4pIGVhmeRJ7i0uRG9lTwiHUsI5yAdgAAAAB46Q4QPs4aGAABqwGAph0AtecuQrHEZ/sCAAAAAARZWg=='

test('a list that was closed is read again', async () => {
  await using folder = await CommandGround.start()
  await writeFile(folder.path('list.xz'), Buffer.from(xz, 'base64'))
  const sources = await sourcesOf(['list.xz'], undefined, folder.path('.'), Readable.from([]))
  const options = { column: undefined, extract: undefined, networks: 'expand' } as const
  const first = new InputReader(sources, options)
  await first.prepare()
  await first.close()
  let rows = 0
  for await (const group of new InputReader(sources, options).rows()) rows += group.length
  expect(rows).toBe(60_000)
})

test('no result gets what another row has, as behind the gaps of a job that was cancelled', async () => {
  const own = ownByReading(new InputReader([givenSource(['8.8.8.8', '9.9.9.9', '1.1.1.1'])], { networks: 'expand' }), 1)
  expect(await own([{ input: '9.9.9.9' }])).toHaveLength(1)
  await expect(own([{ input: '8.8.8.8' }])).rejects.toThrow('cancelled')
})
