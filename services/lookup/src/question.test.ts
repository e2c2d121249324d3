import { describe, expect, test } from '@jest/globals'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import { canonicalAddress, parseTarget, type Question } from './question.ts'

function questionOf(target: string): Question {
  const parsed = parseTarget(target)
  if (parsed.kind !== 'question') throw new Error(`${target} is ${parsed.kind}`)
  return parsed.question
}

function codeOf(target: string): string {
  try {
    parseTarget(target)
  } catch (error) {
    if (error instanceof ProxyError) return error.code
  }
  return 'none'
}

describe('a question has one form', () => {
  test.each([
    ['/8.8.8.8', '/8.8.8.8'],
    ['/8.8.8.8/', '/8.8.8.8'],
    ['//8.8.8.8', '/8.8.8.8'],
    ['/8.8.8.8/json', '/8.8.8.8'],
    ['/8.8.8.8?token=a&x=1', '/8.8.8.8'],
    ['/8.8.8.8?', '/8.8.8.8'],
    ['/%38.8.8.8', '/8.8.8.8'],
    ['/::ffff:8.8.8.8', '/8.8.8.8'],
    ['/2001:DB8::0001', '/2001:db8::1'],
    ['/8.8.8.8/city', '/8.8.8.8/city'],
    ['/8.8.8.8/city?token=a', '/8.8.8.8/city'],
    ['/8.8.8.8?fields=city', '/8.8.8.8?fields=city'],
    ['/8.8.8.8?fields=city&fields=org', '/8.8.8.8?fields=city'],
    ['/as15169', '/AS15169'],
    ['/AS015169/json', '/AS15169'],
    ['/domains/8.8.8.8?page=2&limit=5&x=1', '/domains/8.8.8.8?limit=5&page=2'],
    ['/lite//8.8.8.8', '/lite/8.8.8.8'],
    ['/ranges/google.com?token=a', '/ranges/google.com'],
  ])('%s is %s', (target, canonical) => {
    expect(questionOf(target).target).toBe(canonical)
  })

  test('the products are asked on the host of their own', () => {
    expect(questionOf('/lite/8.8.8.8').surface).toBe('api')
    expect(questionOf('/8.8.8.8').surface).toBe('legacy')
  })

  test('a text field is a part of the record', () => {
    expect(questionOf('/8.8.8.8/city').within?.record).toEqual(questionOf('/8.8.8.8'))
    expect(questionOf('/8.8.8.8/privacy').within).toBeUndefined()
  })
})

test.each(['/', '/json', '/geo', '/city', '/privacy', '/?token=a', '/lite/me'])('%s is about the client', (target) => {
  const parsed = parseTarget(target)
  expect(parsed.kind === 'own' && parsed.about('9.9.9.9').address).toBe('9.9.9.9')
})

test('/me is the account, and nothing else is', () => {
  expect(parseTarget('/me?token=a').kind).toBe('account')
  expect(parseTarget('/ME').kind).toBe('question')
})

test.each([
  ['/%00', 'bad_request'],
  ['/%ZZ', 'bad_request'],
  ['/a%2fb', 'bad_request'],
  ['/a%5Cb', 'bad_request'],
  ['/%2e%2e', 'bad_request'],
  ['/8.8.8.8/%0a', 'bad_request'],
  ['/127.1', 'wrong_ip'],
  ['/2130706433', 'wrong_ip'],
  ['/0x7f000001', 'wrong_ip'],
  ['/8.8.8.8/24', 'wrong_ip'],
  ['/fe80::1%eth0', 'wrong_ip'],
  ['/fe80::1%25eth0', 'wrong_ip'],
  ['/domains/nonsense', 'wrong_ip'],
  ['/lite/nonsense', 'wrong_product_ip'],
])('%s is refused as %s', (target, code) => {
  expect(codeOf(target)).toBe(code)
})

test.each(['0177.0.0.1', '127.1', '1.1.1.1.', ' 1.1.1.1', '[::1]', 'fe80::1%eth0', '１.1.1.1', ''])(
  '"%s" is no address',
  (text) => {
    expect(canonicalAddress(text)).toBeUndefined()
  },
)
