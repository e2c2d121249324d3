import { isRecord, parseJson } from '@ipfleet/core/json.ts'
import type { PresenceRecord } from './presence-record.ts'

type Check = (value: unknown) => boolean

/** What a row has to have, and what it may have besides. */
interface RowShape {
  readonly needs: Readonly<Record<string, Check>>
  readonly mayHave: Readonly<Record<string, Check>>
}

const isText: Check = (value) => typeof value === 'string'
const isNumber: Check = (value) => Number.isFinite(value)
const isTime: Check = (value) => typeof value === 'string' && Number.isFinite(Date.parse(value))
const isOneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value)

const processShape: RowShape = {
  needs: {
    service: isOneOf('lookup', 'edge', 'egress', 'bulk'),
    version: isText,
    startedAt: isTime,
    state: isOneOf('ok', 'degraded'),
  },
  mayHave: { reason: isText, requestsPerSecond: isNumber, rssMb: isNumber },
}
const rowShapes: Readonly<Record<'breakers' | 'backends' | 'sources', RowShape>> = {
  breakers: {
    needs: { provider: isText, state: isOneOf('closed', 'open', 'half-open') },
    mayHave: { reason: isOneOf('failing', 'limited') },
  },
  backends: {
    needs: { group: isText, address: isText, state: isOneOf('up', 'down', 'draining'), inFlight: isNumber },
    mayHave: { lastError: isText, lastErrorAt: isTime },
  },
  sources: {
    needs: { label: isText, state: isOneOf('up', 'benched', 'down') },
    mayHave: { reason: isText, until: isTime, tunnels: isNumber },
  },
}

/**
 * A process's record from its JSON. Undefined for what is none; rows and members that this release does not know, because
 * another one has written them, are left out.
 */
export function recordIn(id: string, text: string): PresenceRecord | undefined {
  const value = parseJson(text)
  const facts = fitting(value, processShape)
  if (facts === undefined || !isRecord(value)) return undefined
  const lists = Object.entries(rowShapes).flatMap(([name, shape]) => {
    const rows = value[name]
    return Array.isArray(rows) ? [[name, rows.flatMap((row) => fitting(row, shape) ?? [])]] : []
  })
  return { id, ...facts, ...Object.fromEntries(lists) }
}

function fitting(value: unknown, { needs, mayHave }: RowShape): Record<string, unknown> | undefined {
  if (!isRecord(value)) return undefined
  const fits = ([name, check]: readonly [string, Check]): boolean => check(value[name])
  if (!Object.entries(needs).every(fits)) return undefined
  const known = Object.entries({ ...needs, ...mayHave }).filter(fits)
  return Object.fromEntries(known.map(([name]) => [name, value[name]]))
}
