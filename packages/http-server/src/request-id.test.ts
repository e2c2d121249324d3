import { setTimeout as sleep } from 'node:timers/promises'
import { currentSpan, type Span } from '@ipfleet/core/span.ts'
import { expect, test } from '@jest/globals'
import { currentRequest, requestIdOf, withRequest } from './request-id.ts'

test.each(['7', 'a-B:c_d.9', '1-67891233-abcdef012345678912345678', 'x'.repeat(64)])(
  'an id that a client gives is kept: %s',
  (id) => {
    expect(requestIdOf(id)).toBe(id)
  },
)

test.each([
  undefined,
  '',
  ' ',
  'x'.repeat(65),
  'a b',
  'a, b',
  'a\r\nb',
  'a"b',
  'caf\xe9',
  'a+b/c=',
  '${jndi:x}',
  '<script>',
  ['a', 'b'],
])('an id is made in place of %j', (given) => {
  expect(requestIdOf(given)).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
  expect(requestIdOf(given)).not.toBe(requestIdOf(given))
})

test('ids that are made differ from each other', () => {
  const ids = new Set(Array.from({ length: 1000 }, () => requestIdOf(undefined)))
  expect(ids.size).toBe(1000)
})

test('what is started for a request knows it, and nothing else does', async () => {
  const inside = withRequest({ id: 'one' }, async () => {
    await sleep(1)
    return [currentRequest(), withRequest({ id: 'two' }, currentRequest), withRequest(undefined, currentRequest)]
  })
  expect(currentRequest()).toBeUndefined()
  expect(await inside).toEqual([{ id: 'one' }, { id: 'two' }, undefined])
})

test('what is done for another request, or for none, is no step of this one', () => {
  const span = { child: () => span } as unknown as Span
  withRequest({ id: 'one', span }, () => {
    expect(currentSpan()).toBe(span)
    expect(withRequest({ id: 'two' }, currentSpan)).toBeUndefined()
    expect(withRequest(undefined, currentSpan)).toBeUndefined()
  })
})
