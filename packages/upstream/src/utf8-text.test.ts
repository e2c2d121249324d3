import { expect, test } from '@jest/globals'
import { utf8Text } from './utf8-text.ts'

const json = '{"city":"Zürich"}'

test.each([
  ['application/json', Buffer.from(json), 'application/json'],
  ['application/json; charset=utf-8', Buffer.from(json), 'application/json; charset=utf-8'],
  ['application/json', Buffer.from(`\ufeff${json}`), 'application/json'],
  ['application/json; charset=UTF8', Buffer.from(`\ufeff${json}`), 'application/json; charset=UTF8'],
  ['application/json; charset=iso-8859-1', Buffer.from(json, 'latin1'), 'application/json; charset=utf-8'],
  [
    'application/vnd.api+json;v=1; Charset="ISO-8859-1"',
    Buffer.from(json, 'latin1'),
    'application/vnd.api+json;v=1; Charset="utf-8"',
  ],
  [
    'application/json; v=latin1; charset=latin1',
    Buffer.from(json, 'latin1'),
    'application/json; v=latin1; charset=utf-8',
  ],
  ['text/html; charset=windows-1252', Buffer.from(json, 'latin1'), 'text/html; charset=utf-8'],
  ['application/json; charset=utf-16le', Buffer.from(`\ufeff${json}`, 'utf16le'), 'application/json; charset=utf-8'],
  ['application/json; charset=nonsense', Buffer.from(json), 'application/json; charset=nonsense'],
])('text under %s is UTF-8 afterwards', (contentType, body, expected) => {
  const text = utf8Text({ contentType, body })
  expect([text.body.toString(), text.contentType]).toEqual([json, expected])
})

test.each(['application/octet-stream; charset=iso-8859-1', ''])('%j is left as it is', (contentType) => {
  for (const body of [Buffer.from(json, 'latin1'), Buffer.from(`\ufeff${json}`)]) {
    expect(utf8Text({ contentType, body })).toEqual({ contentType, body })
  }
})
