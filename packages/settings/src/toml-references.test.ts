import { expect, test } from '@jest/globals'
import { resolveReferences } from './toml-references.ts'

const env = { HOST: 'replica', PORT: ' 8080 ', EMPTY: ' ' }

test.each([
  ['plain $HOST {HOST}', 'plain $HOST {HOST}'],
  ['http://${HOST}:${PORT}', 'http://replica:8080'],
  ['$${HOST} ${HOST}', '${HOST} replica'],
])('%j is %j', (written, text) => {
  expect(resolveReferences(written, env)).toEqual({ kind: 'text', text, isReference: false })
})

test('one reference and nothing else is known as such', () => {
  expect(resolveReferences('${PORT}', env)).toEqual({ kind: 'text', text: '8080', isReference: true })
})

test.each([
  ['${NONE}', 'NONE is not set in the environment'],
  ['${EMPTY}${NONE}${HOST}${NONE}', 'EMPTY and NONE are not set in the environment'],
  ['${toString}', 'toString is not set in the environment'],
  ['${HOST:-x}', expect.stringContaining('begins no reference')],
  ['${', expect.stringContaining('begins no reference')],
])('%j leads nowhere: %s', (written, reason) => {
  expect(resolveReferences(written, env)).toEqual({ kind: 'unresolved', reason })
})
