import { expect, test } from '@jest/globals'
import { settingsTable } from '@ipfleet/settings/describe-settings.ts'
import { readmeSection } from '@ipfleet/testing/readme-section.ts'
import { configTablesInMarkdown } from '../src/config/describe-config.ts'
import { settingsSchema } from '../src/settings.ts'

const readme = new URL('../README.md', import.meta.url)

test('the README lists every key of the file as it is (UPDATE_README=1 npm test -- readme.test writes it)', () => {
  const tables = `\n${configTablesInMarkdown()}\n`
  expect(readmeSection({ readme, begin: 'config: edge', end: 'end of config' }, tables)).toBe(tables)
})

test('the README lists every setting as it is (the same writes it)', () => {
  const table = `\n${settingsTable(settingsSchema)}\n`
  expect(readmeSection({ readme, begin: 'settings: edge', end: 'end of settings' }, table)).toBe(table)
})
