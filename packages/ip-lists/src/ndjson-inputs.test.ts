import { expect, test } from '@jest/globals'
import { inputsOf } from './input-bodies.fixture.ts'

test('a line that holds no address is itself the input and harms no other', async () => {
  const lines = ['{"ip":"1.1.1.1"}', '"2.2.2.2"', '{"src":"3.3.3.3"}', '{"ip":', 'null', '7', '["4.4.4.4"]', '5.5.5.5']
  expect(await inputsOf(lines.join('\n'), { kind: 'ndjson', column: 'ip' })).toEqual([
    '1.1.1.1',
    '2.2.2.2',
    ...lines.slice(2),
  ])
})

test('the member that is asked for is read', async () => {
  const form = { kind: 'ndjson', column: 'src' } as const
  expect(await inputsOf('{"ip":"1.1.1.1","src":"2.2.2.2"}\n', form)).toEqual(['2.2.2.2'])
})
