import { writeFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
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

const ownOf = (texts: readonly string[]) =>
  ownByReading(new InputReader([givenSource(texts)], { networks: 'expand' }), 1)

describe('behind a gap, as in the results of a job that was cancelled,', () => {
  test('no result gets what another row has', async () => {
    const own = ownOf(['8.8.8.8:1', '9.9.9.9:2', '1.1.1.1:3', '8.8.4.4:4'])
    expect(await own([{ input: '9.9.9.9' }, { input: '8.8.4.4' }])).toEqual([{ kind: 'text', text: '9.9.9.9:2' }])
  })

  test('a result is taken where rows have nothing of their own', async () => {
    expect(await ownOf(['8.8.8.8', '9.9.9.9', '1.1.1.1'])([{ input: '1.1.1.1' }])).toEqual([undefined])
  })
})
