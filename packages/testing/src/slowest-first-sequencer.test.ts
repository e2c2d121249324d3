import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { slowestFirst } from './slowest-first-sequencer.ts'

const named = (file: string): { path: string } => ({ path: `/clone/${file}` })

test('Compose begins, then come those with processes, and unit tests are last', () => {
  const inOrder = [
    named('packages/testing/test/compose.test.ts'),
    named('services/edge/test/limits.test.ts'),
    named('services/edge/test/tls.test.ts'),
    named('packages/testing/test/readme-commands.test.ts'),
  ]
  const unit = named('services/edge/src/limits.test.ts')
  expect(slowestFirst([unit, ...inOrder])).toEqual([...inOrder.slice(0, 3), unit, ...inOrder.slice(3)])
})

test('the READMEs are followed once Compose has built the images, in the middle of the run', () => {
  const readmes = named('packages/testing/test/readme-commands.test.ts')
  const others = Array.from({ length: 100 }, (_, index) => named(`services/edge/test/${index}.test.ts`))
  expect(slowestFirst([readmes, ...others])).toEqual([...others.slice(0, 30), readmes, ...others.slice(30)])
})

test('what needs the default port is done before a README’s commands have it', () => {
  const embedded = fileURLToPath(new URL('../../cli/test/embedded.test.ts', import.meta.url))
  expect(existsSync(embedded)).toBe(true)
  const others = Array.from({ length: 100 }, (_, index) => named(`services/edge/test/${index}.test.ts`))
  expect(slowestFirst([...others, { path: embedded }])[0]).toEqual({ path: embedded })
})
