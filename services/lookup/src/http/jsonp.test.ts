import { describe, expect, test } from '@jest/globals'
import { asCall, callbackIn } from './jsonp.ts'

describe('a callback', () => {
  test.each(['show', 'app.show', '$', '_a.$b.c9', 'x'.repeat(128)])('may be %s', (name) => {
    expect(callbackIn(`/8.8.8.8?callback=${name}&token=abc`)).toBe(name)
  })

  test.each(['', 'alert(1)', 'a b', '9a', '.a', 'a.', 'a..b', 'a[0]', 'a;b', '<script>', '%0a', 'ä', 'x'.repeat(129)])(
    'may not be "%s"',
    (name) => {
      expect(() => callbackIn(`/8.8.8.8?callback=${name}`)).toThrow('A callback is the name of a function')
    },
  )

  test.each(['/8.8.8.8', '/callback=show', '/8.8.8.8?nocallback=1', '/8.8.8.8?token=callback=show'])(
    'is not in %s',
    (target) => {
      expect(callbackIn(target)).toBeUndefined()
    },
  )
})

test('JSON becomes a call in the form of IPinfo, with its status; text stays what it is', () => {
  const json = { status: 404, contentType: 'application/json; charset=utf-8', body: Buffer.from('{"a": "ü"}') }
  const call = asCall(json, 'app.show')
  expect([call.status, call.contentType, call.body.toString()]).toEqual([
    404,
    'text/javascript; charset=utf-8',
    `/**/ typeof app.show === 'function' && app.show({"a": "ü"});`,
  ])
  const text = { status: 200, contentType: 'text/plain; charset=utf-8', body: Buffer.from('US\n') }
  expect(asCall(text, 'show')).toBe(text)
})
