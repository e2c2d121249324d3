import { expect, test } from '@jest/globals'
import { countries } from './countries.ts'

test('there is every code of ISO 3166-1, and Kosovo, each on one continent', () => {
  expect(countries().size).toBe(249 + 1)
})

test.each([
  ['US', 'United States', 'North America'],
  ['CV', 'Cabo Verde', 'Africa'],
  ['CZ', 'Czechia', 'Europe'],
  ['CD', 'Democratic Republic of the Congo', 'Africa'],
  ['VA', 'Vatican', 'Europe'],
  ['HK', 'Hong Kong', 'Asia'],
  ['KR', 'South Korea', 'Asia'],
  ['RU', 'Russia', 'Europe'],
  ['VC', 'Saint Vincent and the Grenadines', 'North America'],
  ['VN', 'Vietnam', 'Asia'],
])('%s is %s in %s, as in the samples that IPinfo publishes', (code, country, continent) => {
  expect(countries().get(code)).toMatchObject({ country_code: code, country, continent })
})

test('no name is just its code, or has what IPinfo writes out', () => {
  for (const { country_code: code, country } of countries().values()) {
    expect(country).not.toBe(code)
    expect(country).not.toMatch(/&|St\.|’|SAR/)
  }
})
