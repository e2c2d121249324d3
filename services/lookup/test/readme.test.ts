import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { settingsTable } from '@ipfleet/settings/describe-settings.ts'
import { settingsSchema } from '../src/settings.ts'

const readme = new URL('../../../README.md', import.meta.url)
const marked = /(?<=<!-- settings: lookup -->\n)[^]*?(?=<!-- end of settings -->)/

test('the README lists every setting as it is (UPDATE_README=1 npm test -- readme writes it)', () => {
  const text = readFileSync(readme, 'utf8')
  const table = `\n${settingsTable(settingsSchema)}\n`
  if (process.env['UPDATE_README'])
    writeFileSync(
      readme,
      text.replace(marked, () => table),
    )
  expect(marked.exec(readFileSync(readme, 'utf8'))?.[0]).toBe(table)
})
