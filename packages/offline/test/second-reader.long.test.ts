import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { factsOf, type RawRecord } from '../src/facts.ts'
import { mmdbIn } from '../src/mmdb.ts'
import { randomDatabases } from './random-databases.ts'

const hasReader = spawnSync('python3', ['-c', 'import maxminddb']).status === 0
if (!hasReader) {
  process.stderr.write(
    "Answers are not compared with a second reader's: python3 has no maxminddb (pip install maxminddb)\n",
  )
}
const withReader = hasReader ? describe : describe.skip

/** MaxMind's reader: a record or null for each line. IPv6 in a database of IPv4 alone is an error to it. */
const script = `
import json, sys, maxminddb
reader = maxminddb.open_database(sys.argv[1])
for line in sys.stdin:
    try:
        record = reader.get(line.strip())
    except ValueError:
        record = None
    print(json.dumps(record))
`

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'second-reader-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

withReader('maxminddb of Python', () => {
  test.each(randomDatabases(1000).map((database) => [database.name, database] as const))(
    'reads of %s what is read here',
    (_, { bytes, addresses }) => {
      const path = join(directory, 'a.mmdb')
      writeFileSync(path, bytes)
      const { stdout, stderr } = spawnSync('python3', ['-c', script, path], {
        input: addresses.join('\n'),
        encoding: 'utf8',
        maxBuffer: 2 ** 28,
      })
      expect(stderr).toBe('')
      const records = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as RawRecord | null)
      expect(records.filter((record) => record !== null).length).toBeGreaterThan(2000)
      const mmdb = mmdbIn(bytes)
      expect(addresses.map((address) => mmdb.facts(address))).toEqual(
        records.map((record) => (record === null ? undefined : factsOf(record))),
      )
    },
  )
})
