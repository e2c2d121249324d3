import { expect, test } from '@jest/globals'
import { factsOf } from '../src/facts.ts'
import { mmdbIn } from '../src/mmdb.ts'
import { randomDatabases } from './random-databases.ts'

// second-reader.long.test.ts asks another program.
test.each(randomDatabases(60).map((database) => [database.name, database] as const))(
  'a database of %s tells of every address what was put into it',
  (_, { bytes, addresses, recordOf }) => {
    const mmdb = mmdbIn(bytes)
    const isExpected = addresses.map((address) => {
      const record = recordOf(address)
      return { address, facts: record && factsOf(record) }
    })
    expect(addresses.map((address) => ({ address, facts: mmdb.facts(address) }))).toEqual(isExpected)
  },
)
