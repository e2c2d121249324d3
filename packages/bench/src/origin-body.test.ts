import { expect, test } from '@jest/globals'
import { nginxBody, originBody } from './origin-body.ts'

test.each([13, 300, 5000])('a body of %d bytes is JSON of that length', (bytes) => {
  const body = originBody(bytes)
  expect(Buffer.byteLength(body)).toBe(bytes)
  expect(JSON.parse(body)).toHaveProperty('filler')
})

test.each([13, 300, 5000, 300_000])('nginx puts the same %d bytes together from words under 4 kB', (bytes) => {
  const [, block = '', template = ''] = /^set \$block "(x*)"; return 200 '(.*)';$/.exec(nginxBody(bytes)) ?? []
  expect(template.length).toBeLessThan(4000)
  expect(template.replaceAll('${block}', block)).toBe(originBody(bytes))
})

test('a body that nginx cannot be given is refused', () => {
  expect(() => nginxBody(300_001)).toThrow(RangeError)
})
