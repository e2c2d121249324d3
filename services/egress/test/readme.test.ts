import { expect, test } from '@jest/globals'
import { settingsTable } from '@ipfleet/settings/describe-settings.ts'
import { readmeSection } from '@ipfleet/testing/readme-section.ts'
import { settingsSchema } from '../src/settings.ts'

const readme = new URL('../README.md', import.meta.url)

test('the README lists every setting as it is (UPDATE_README=1 npm test -- readme.test writes it)', () => {
  const table = `\n${settingsTable(settingsSchema)}\n`
  expect(readmeSection({ readme, begin: 'settings: egress', end: 'end of settings' }, table)).toBe(table)
})
