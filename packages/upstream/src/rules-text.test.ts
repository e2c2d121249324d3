import { expect, test } from '@jest/globals'
import { parseRules, RulesError } from './rules-text.ts'

const products = ['core', 'privacy']

test('rules are read in their order, inline or one a line', () => {
  const rules = [
    { status: '403', says: /your network/i, action: 'fail' },
    { status: '5xx', says: 'page', action: 'fail_over', of: ['core', 'module'] },
    { status: 'any', says: 'anything', action: 'rest_key' },
  ]
  const lines = ['403 /your network/ fail', '5xx page fail_over of core,module', 'any anything rest_key']
  expect(parseRules(lines.join('; '), products)).toEqual(rules)
  expect(parseRules(`# ours\n\n${lines.join('\r\n')}\n`, products)).toEqual(rules)
})

test.each([
  ['403', 'rule 1: it is STATUS SAYS ACTION [of PRODUCT,…]'],
  ['403 anything fail;4o3 anything fail', 'rule 2: the status is a number like 403, a class like 5xx, or any: not 4o3'],
  ['403 everything fail', expect.stringMatching(/^rule 1: what the body says is .*page.*: not everything$/)],
  ['403 /(/ fail', 'rule 1: /(/ is no regular expression'],
  ['403 anything bench', expect.stringMatching(/^rule 1: the action is one of answer, .*: not bench$/)],
  [
    '403 anything fail of privcy',
    expect.stringMatching(/^rule 1: the product is one of core, privacy, .*: not privcy$/),
  ],
])('%j is refused', (text, message) => {
  expect(() => parseRules(text, products)).toThrow(expect.objectContaining({ name: RulesError.name, message }))
})
