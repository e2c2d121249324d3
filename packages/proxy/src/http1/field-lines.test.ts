import { describe, expect, test } from '@jest/globals'
import { eachField, fieldName, knownName, listMembers } from './field-lines.ts'
import { UpstreamFault } from './upstream-fault.ts'

function fieldsOf(text: string, start = 0): string[] {
  const fields: string[] = []
  eachField(text, start, ({ spelling }, value) => fields.push(spelling, value))
  return fields
}

function faultOf(action: () => unknown): UpstreamFault {
  try {
    action()
  } catch (error) {
    if (error instanceof UpstreamFault) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('a field name', () => {
  test.each([
    ['Connection', 'connection'],
    ['CONTENT-LENGTH', 'content-length'],
    ['transfer-Encoding', 'transfer-encoding'],
    ['Upgrade', 'upgrade'],
    ['Keep-Alive', 'keep-alive'],
    ['Proxy-Connection', 'hop-by-hop'],
    ['TE', 'hop-by-hop'],
    ['Content-Type', 'end-to-end'],
    ["!#$%&'*+-.^_`|~09azAZ", 'end-to-end'],
  ])('%s is read whatever its case', (spelling, role) => {
    for (let time = 0; time < 2; time += 1) {
      expect(fieldName(spelling)).toMatchObject({ spelling, lowerCase: spelling.toLowerCase(), role })
    }
  })

  test.each(['', ' ', 'a b', 'a ', ' a', 'a\t', 'a:', 'a/b', '(a)', 'a"', 'ä', 'a\0', 'a\r', 'a\n', 'Content-Length '])(
    '%j is none',
    (spelling) => {
      expect(knownName(spelling)).toBeUndefined()
      expect(faultOf(() => fieldName(spelling))).toMatchObject({
        kind: 'garbled',
        message: 'a field name is malformed',
      })
    },
  )

  test('stays right however many have been seen', () => {
    for (let index = 0; index < 5000; index += 1) fieldName(`X-Invented-${index}`)
    expect(fieldName('Upgrade').role).toBe('upgrade')
    expect(fieldName(`X-${'long'.repeat(1000)}`).lowerCase).toBe(`x-${'long'.repeat(1000)}`)
  })
})

describe('field lines', () => {
  test('are told in their order, with the white space around the value gone', () => {
    expect(fieldsOf('A: 1\r\nb:2\r\nC:\t 3 \t\r\nD:\r\nE: x  y')).toEqual([
      'A',
      '1',
      'b',
      '2',
      'C',
      '3',
      'D',
      '',
      'E',
      'x  y',
    ])
  })

  test.each([
    ['one that begins with the one that is expected', 'A: 1\r\nAb: 2', ['A', '1', 'Ab', '2']],
    ['another spelling', 'a: 1\r\nB: 2', ['a', '1', 'B', '2']],
    ['the same in another order', 'B: 1\r\nA: 2', ['B', '1', 'A', '2']],
    ['the same twice', 'A: 1\r\nA: 2\r\nB: 3', ['A', '1', 'A', '2', 'B', '3']],
    ['fewer', 'A: 1', ['A', '1']],
    ['long ones', `A: 1\r\nX-${'long'.repeat(100)}: 2`, ['A', '1', `X-${'long'.repeat(100)}`, '2']],
  ])('are read as they are, whatever was read before: %s', (_what, text, expected) => {
    for (const before of ['A: 0\r\nB: 0', text]) {
      fieldsOf(before)
      expect(fieldsOf(text)).toEqual(expected)
    }
    fieldsOf('A: 0\r\nB: 0')
    expect(faultOf(() => fieldsOf('A: 1\r\nB : 2')).message).toBe('a field name is malformed')
    expect(faultOf(() => fieldsOf('A: 1\r\nB')).message).toBe('a field line has no colon')
  })

  test('may be none', () => {
    expect(fieldsOf('')).toEqual([])
    expect(fieldsOf('HTTP/1.1 200 OK\r\n', 17)).toEqual([])
  })

  test('keep every byte of Latin-1, and every colon but the first', () => {
    const bytes = Buffer.from(Array.from({ length: 128 }, (_, index) => 128 + index)).toString('latin1')
    expect(fieldsOf(`A: ${bytes}\r\nB: http://x:80`)).toEqual(['A', bytes, 'B', 'http://x:80'])
  })

  test('keep control characters that end no line', () => {
    expect(fieldsOf('A: \x0b1\x1b\r\nB: \x7f')).toEqual(['A', '\x0b1\x1b', 'B', '\x7f'])
  })

  test('may end in LF alone', () => {
    expect(fieldsOf('A: 1\nB: 2\r\nC:\nD: 4')).toEqual(['A', '1', 'B', '2', 'C', '', 'D', '4'])
  })

  test('do not lose the no-break space that `trim` would take', () => {
    expect(fieldsOf('A: \xa0x\xa0')).toEqual(['A', '\xa0x\xa0'])
  })

  test.each([
    ['no colon', 'A: 1\r\nB\r\nC: 3', 'a field line has no colon'],
    ['no colon in the last', 'A: 1\r\nB', 'a field line has no colon'],
    ['obs-fold', 'A: 1\r\n 2', 'a field line has no colon'],
    ['obs-fold with a tab', 'A: 1\r\n\t2', 'a field line has no colon'],
    ['obs-fold that looks like a field', 'A: 1\r\n B: 2', 'a field name is malformed'],
    ['a space before the colon', 'A : 1', 'a field name is malformed'],
    ['a tab before the colon', 'Transfer-Encoding\t: chunked', 'a field name is malformed'],
    ['no name', ': 1', 'a field name is malformed'],
    ['a bare CR', 'A: 1\rB: 2', 'a field value holds a CR or NUL'],
    ['a CR before the CRLF', 'A: 1\r\r\nB: 2', 'a field value holds a CR or NUL'],
    ['a bare LF in a name', 'A\nB: 2', 'a field line has no colon'],
    ['obs-fold behind a bare LF', 'A: 1\n B: 2', 'a field name is malformed'],
    ['a CR before the LF and one more', 'A: 1\r\r\n', 'a field value holds a CR or NUL'],
    ['NUL', 'A: 1\0', 'a field value holds a CR or NUL'],
    ['an empty line', 'A: 1\r\n\r\nB: 2', 'a field line has no colon'],
  ])('are refused for %s', (_what, text, message) => {
    expect(faultOf(() => fieldsOf(text))).toMatchObject({ kind: 'garbled', message })
  })
})

test.each([
  ['close', ['close']],
  ['Keep-Alive, X-A', ['keep-alive', 'x-a']],
  [' , a ,,\tB\t, ', ['a', 'b']],
  ['', []],
])('the list %j has these members', (value, members) => {
  expect(listMembers(value)).toEqual(members)
})
