import { expect, test } from '@jest/globals'
import { describeSettings, settingsTable } from './describe-settings.ts'
import { helpText } from './help-text.ts'
import { cidrList, integer, secret, secretList, text } from './kinds.ts'
import { grouped } from './setting.ts'
import { url } from './url-setting.ts'

const schema = {
  PORT: integer({ default: 8080, min: 0, max: 65_535, help: 'TCP port to listen on' }),
  TRUST_PROXY: cidrList({ default: ['loopback'], help: 'Trusted proxies' }),
  ...grouped('Upstream', { KEYS: secretList({ optional: true, help: 'API keys' }) }),
  TOKEN: secret({ default: 'canary', help: 'a|b' }),
  ...grouped('Upstream', { REGION: text({ help: 'Where it stands. '.repeat(20) }) }),
  BASE_URL: url({ protocols: ['http:'], default: 'http://user:canary@host', help: 'Upstream' }),
}

test('each setting is described in words, with the default as an operator would write it', () => {
  const [port, proxies, keys, token, region] = describeSettings(schema)
  expect(port).toMatchObject({ name: 'PORT', default: '8080', required: false, fileName: undefined, secret: false })
  expect(proxies).toMatchObject({ default: 'loopback' })
  expect(keys).toMatchObject({ default: '', fileName: 'KEYS_FILE', secret: true, group: 'Upstream' })
  expect(token).toMatchObject({ default: '', required: false })
  expect(region).toMatchObject({ required: true })
})

test('the table is Markdown with one row per setting, and its cells cannot break it', () => {
  const lines = settingsTable(schema).trimEnd().split('\n')
  expect(lines).toHaveLength(2 + Object.keys(schema).length)
  expect(lines[2]).toBe('| `PORT` | `8080` | a whole number from 0 to 65535 | TCP port to listen on |')
  expect(lines[5]).toContain('| a\\|b |')
})

test('the help lists every setting under its group, aligned and at most 96 columns wide', () => {
  const help = helpText(schema, { program: 'lookup', summary: 'A replica.' })
  const lines = help.split('\n')
  const column = '  TRUST_PROXY  '.length
  for (const [name, { help: meaning }] of Object.entries(schema)) {
    const first = lines.find((line) => line.startsWith(`  ${name} `)) ?? ''
    expect(first.slice(0, column).trim()).toBe(name)
    expect(first.length).toBeGreaterThan(column)
    expect(meaning.startsWith(first.slice(column))).toBe(true)
  }
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(96)
  expect(lines.indexOf('Upstream:')).toBeGreaterThan(lines.indexOf('Settings:'))
  expect(lines.findIndex((line) => line.startsWith('  KEYS'))).toBeGreaterThan(lines.indexOf('Upstream:'))
})

test('neither help nor table shows a secret that is a default', () => {
  expect(helpText(schema, { program: 'lookup', summary: '' }) + settingsTable(schema)).not.toContain('canary')
})
