import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'

const root = join(import.meta.dirname, '../../..')

/** What a service says that it asks of Redis. */
function needsOf(service: string): string {
  const folder = join(root, `services/${service}/src`)
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const file = files.find((name) => name.endsWith('redis-needs.ts')) ?? 'redis-needs.ts'
  return readFileSync(join(folder, file), 'utf8').split('`')[3] ?? ''
}

/** Commands that the scripts in a folder call. */
function scripted(folder: string): string[] {
  const files = readdirSync(join(root, folder, 'src'), { recursive: true, encoding: 'utf8' })
  const sources = files
    .filter((file) => file.endsWith('.lua'))
    .map((file) => readFileSync(join(root, folder, 'src', file), 'utf8'))
  return sources.flatMap((source) =>
    [...source.matchAll(/redis\.p?call\('(\w+)'/g)].map(([, name = '']) => name.toUpperCase()),
  )
}

test.each([
  ['lookup', ['cache', 'key-pool', 'upstream', 'rate-limit']],
  ['bulk', ['rate-limit']],
  ['egress', ['rate-limit']],
  ['edge', ['rate-limit']],
])('what the scripts of %s call is tried when it connects, and is in its README', (service, packages) => {
  const folders = [`services/${service}`, ...packages.map((name) => `packages/${name}`)]
  const called = new Set(folders.flatMap(scripted))
  const needs = needsOf(service)
  const listed = /^ACL SETUSER .*$/m.exec(readFileSync(join(root, `services/${service}/README.md`), 'utf8'))?.[0] ?? ''
  expect(called.size).toBeGreaterThan(3)
  expect([...called].filter((name) => !new RegExp(`\\b${name}\\b`).test(needs))).toEqual([])
  expect([...called].filter((name) => !listed.split(' ').includes(`+${name.toLowerCase()}`))).toEqual([])
  const untried = [...needs.matchAll(/\b[A-Z]{3,}\b/g)]
    .map(([name]) => name)
    .filter((name) => !selfTest.includes(`${name} = {`))
  expect(untried).toEqual([])
})

const selfTest = readFileSync(join(root, 'packages/redis/src/self-test.lua'), 'utf8')
