import { expect, test } from '@jest/globals'
import { createLogger } from '@ipfleet/telemetry/logger.ts'
import { logMode } from './replica-log.ts'

const offlineDb = { type: 'country ipvAll', builtAt: new Date('2025-01-31T12:00:00Z') }
const withRedis = (up: boolean) => ({ redis: { state: { up } } })
const alone = { redis: undefined }
const noKeys =
  'no IPINFO_KEYS: answering from the embedded database alone (country ipvAll of 2025-01-31). ' +
  'Set IPINFO_KEYS=key1,key2 to ask upstream'
const keys = 'asking upstream; keys, cache and coalescing: '

test.each([
  ['nothing', alone, undefined, `${noKeys}, and REDIS_URL=redis://host:6379 to share cache and keys between replicas`],
  ['Redis, which is not to be set once more', withRedis(true), undefined, noKeys],
  ['Redis that is away', withRedis(false), undefined, noKeys],
  ['keys', alone, { pool: { size: 3 } }, `${keys}this replica alone (set REDIS_URL to share them)`],
  ['keys and Redis', withRedis(true), { pool: { size: 3 } }, `${keys}shared through Redis`],
  [
    'keys and Redis that is away',
    withRedis(false),
    { pool: { size: 3 } },
    `${keys}this replica alone until Redis can be used`,
  ],
])('one line says what a replica has, and what it lacks: %s', (_what, fleet, upstream, expected) => {
  const lines: string[] = []
  const destination = { write: (line: string) => lines.push(line) }
  const logger = createLogger({ level: 'info', format: 'json', secrets: [], destination })
  logMode(logger, fleet, upstream, { keysSetting: 'IPINFO_KEYS', offlineDb })
  expect(lines.map((line): unknown => JSON.parse(line))).toEqual([expect.objectContaining({ msg: expected })])
})
