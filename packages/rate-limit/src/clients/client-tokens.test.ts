import { describe, expect, test } from '@jest/globals'
import { type Loaded, loadSettings } from '@ipfleet/settings/load-settings.ts'
import { secretsOf } from '@ipfleet/settings/secrets-of.ts'
import { clientTokens } from './client-tokens.ts'

const schema = { CLIENT_TOKENS: clientTokens({ help: 'Who may ask' }) }

function load(text: string): Loaded<typeof schema> {
  return loadSettings(schema, { program: 'test', summary: '', argv: [], env: { CLIENT_TOKENS: text }, cwd: '/' })
}

function tokensIn(text: string) {
  const loaded = load(text)
  if (loaded.kind !== 'settings') throw new Error(JSON.stringify(loaded))
  return loaded.settings
}

const budget = (limit: number, windowMs: number) => ({ kind: 'sliding-window', limit, windowMs })

test.each([
  { text: 'a-token-1', token: { secret: 'a-token-1' } },
  { text: 'web=a-token-1', token: { name: 'web', secret: 'a-token-1' } },
  { text: 'a-token-1;requests=10/second', token: { secret: 'a-token-1', requests: budget(10, 1000) } },
  {
    text: 'web=a-token-1;requests=1000/hour;units=100000/month',
    token: {
      name: 'web',
      secret: 'a-token-1',
      requests: budget(1000, 3_600_000),
      units: budget(100_000, 2_592_000_000),
    },
  },
  { text: 'YWJjZGVmZw==', token: { secret: 'YWJjZGVmZw==' } },
  { text: 'web=YWJjZGVmZw==', token: { name: 'web', secret: 'YWJjZGVmZw==' } },
])('$text is read', ({ text, token }) => {
  expect(tokensIn(text).CLIENT_TOKENS).toEqual([token])
})

test('several are separated by commas or line ends', () => {
  const { CLIENT_TOKENS } = tokensIn('a-token-1, b=a-token-2;units=5/day\na-token-3')
  expect(CLIENT_TOKENS.map(({ secret }) => secret)).toEqual(['a-token-1', 'a-token-2', 'a-token-3'])
})

test('unset there are none', () => {
  expect(tokensIn('').CLIENT_TOKENS).toEqual([])
})

describe('what is wrong is said by its position, without the token', () => {
  test.each([
    { text: 'a-token-1,hunter2', says: 'item 2 of 2 has a token of under 8 characters' },
    { text: 'hunter22;requests=0/hour', says: 'item 1 of 1 has a budget that is not understood' },
    { text: 'hunter22;requests=5/week', says: 'item 1 of 1 has a budget that is not understood' },
    { text: 'hunter22;bytes=5/day', says: 'item 1 of 1 has a budget that is not understood' },
    { text: 'hunter22;units=5/day;units=6/day', says: 'item 1 of 1 has two budgets of units' },
    { text: 'hunter22,web=hunter22', says: 'a token is given twice' },
  ])('$says', ({ text, says }) => {
    const loaded = load(text)
    expect(loaded.kind).toBe('faults')
    const shown = loaded.kind === 'faults' ? loaded.text : ''
    expect(shown).toContain(`CLIENT_TOKENS: got a value (not shown) from the environment (${says})`)
    expect(shown).toContain('[name=]token[;requests=N/PERIOD][;units=N/PERIOD]')
    expect(shown).not.toContain('hunter2')
  })
})

test('the log is told what to hide', () => {
  expect(secretsOf(schema, tokensIn('web=a-token-1;units=5/day,a-token-2'))).toEqual(['a-token-1', 'a-token-2'])
})
