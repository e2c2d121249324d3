import { describe, expect, test } from '@jest/globals'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { readCallback, shownCallback } from './webhook-target.ts'

function refusalOf(given: unknown): ProxyError {
  try {
    readCallback(given)
  } catch (error) {
    if (error instanceof ProxyError) return error
  }
  throw new Error(`was taken: ${String(given)}`)
}

const ofLength = (length: number): string => 'https://a.example/'.padEnd(length, 'x')

describe('?callback= takes', () => {
  test.each([
    ['https://hooks.example.com/done?token=a', 'https://hooks.example.com/done?token=a'],
    ['http://192.0.2.1:8080', 'http://192.0.2.1:8080/'],
    ['http://[2001:db8::1]/x', 'http://[2001:db8::1]/x'],
    ['https://bücher.example/ä', 'https://xn--bcher-kva.example/%C3%A4'],
    ['HTTPS://EXAMPLE.com./', 'https://example.com./'],
  ])('%s', (given, kept) => {
    expect(readCallback(given).href).toBe(kept)
  })

  test('up to 2048 characters', () => {
    expect(readCallback(ofLength(2048)).href).toHaveLength(2048)
    expect(refusalOf(ofLength(2049)).message).toMatch('at most 2048 characters')
    expect(refusalOf(`https://a.example/${'ä'.repeat(1000)}`).message).toMatch('at most 2048 characters')
  })
})

describe('?callback= refuses with a reason', () => {
  test.each([
    [undefined, 'must be one http or https URL'],
    ['', 'must be one http or https URL'],
    [['https://a.example/', 'https://b.example/'], 'must be one http or https URL'],
    [{ a: 'https://a.example/' }, 'must be one http or https URL'],
    ['a.example/hook', 'is no URL'],
    ['https://', 'is no URL'],
    ['https://a.example:99999/', 'is no URL'],
    ['ftp://a.example/', 'must begin with https:// or http://'],
    ['file:///etc/passwd', 'must begin with https:// or http://'],
    ['javascript:alert(1)', 'must begin with https:// or http://'],
    ['https://user:secret@a.example/', 'must hold no user name or password'],
    ['https://user@a.example/', 'must hold no user name or password'],
    ['https://a.example/#part', 'must hold no fragment'],
    ['https://a.example/#', 'must hold no fragment'],
    ['https://a.example/ b', 'must hold no spaces'],
    ['https://a.exa\tmple/', 'must hold no spaces'],
    ['https://a.example/\r\nX: y', 'must hold no spaces'],
    ['https:\\\\a.example\\', 'must hold no spaces'],
    ['https://a!b.example/', 'must have a host that is a name or an address'],
  ])('%j: %s', (given, why) => {
    const { code, message } = refusalOf(given)
    expect(code).toBe('bad_request')
    expect(message).toContain(`The callback ${why}`)
    expect(message).not.toContain('secret')
  })
})

test('what is shown of a callback has no query', () => {
  expect(shownCallback('https://a.example:8443/hook?token=secret')).toBe('https://a.example:8443/hook')
  expect(shownCallback('http://a.example/?token=secret')).toBe('http://a.example/')
})
