import type { BackendRow, BreakerRow, Overview, RedisRow, ServiceRow } from '../src/contract.ts'
import { byId, element, setText } from './element.ts'
import { atTime, count, duration } from './format.ts'
import { drawState, KeyedTable, type Tone } from './keyed-table.ts'
import { sectionHead } from './section-head.ts'

const serviceStates: Readonly<Record<ServiceRow['state'], readonly [Tone, string]>> = {
  ok: ['good', 'Well'],
  degraded: ['warn', 'Degraded'],
  gone: ['bad', 'Gone'],
}
const redisStates: Readonly<Record<RedisRow['state'], readonly [Tone, string]>> = {
  up: ['good', 'Up'],
  down: ['bad', 'Down'],
  off: ['idle', 'Not used'],
}
const breakerStates: Readonly<Record<BreakerRow['state'], readonly [Tone, string]>> = {
  closed: ['good', 'Closed: it is asked'],
  'half-open': ['warn', 'Half open: one request tries it'],
  open: ['bad', 'Open: it is left alone for a while'],
}
const backendStates: Readonly<Record<BackendRow['state'], readonly [Tone, string]>> = {
  up: ['good', 'Up'],
  draining: ['warn', 'Draining'],
  down: ['bad', 'Down'],
}

/** What is not well comes first; the rest stays in its order. */
const isWell = ({ state }: { readonly state: string }): boolean => ['ok', 'up', 'off', 'closed'].includes(state)
const troubledFirst = <Row extends { readonly state: string }>(rows: readonly Row[]): Row[] =>
  rows.toSorted((one, other) => Number(isWell(one)) - Number(isWell(other)))

/** The services that run, and what they lean on. */
export class FleetPart {
  readonly #section = byId('fleet')
  readonly #note = sectionHead(this.#section, 'Fleet')
  readonly #services = servicesTable()
  readonly #redis = redisTable()
  readonly #breakers = breakersTable()
  readonly #backends = backendsTable()

  constructor() {
    const groups = [
      ['Redis', this.#redis.view],
      ['Breakers', this.#breakers.view],
      ['Backends of the edge', this.#backends.view],
    ] as const
    const aside = groups.map(([title, view]) => element('div', {}, element('h3', {}, title), view))
    this.#section.append(
      element('div', {}, element('h3', {}, 'Services'), this.#services.view),
      element('div', { class: 'columns wide' }, ...aside),
    )
  }

  update({ replicas, redis, breakers, backends }: Overview): void {
    const well = replicas.filter(({ state }) => state === 'ok').length
    setText(this.#note, replicas.length === 0 ? '' : `${well} of ${replicas.length} well`)
    this.#services.update(troubledFirst(replicas))
    this.#redis.update(redis)
    this.#breakers.update(troubledFirst(breakers))
    this.#backends.update(troubledFirst(backends))
  }
}

function servicesTable(): KeyedTable<ServiceRow> {
  return new KeyedTable({
    caption: 'Services',
    keyOf: ({ service, id }) => `${service} ${id}`,
    empty: 'Only this replica. With REDIS_URL, all services of the fleet stand here.',
    columns: [
      { title: 'Id', text: ({ id }) => id },
      { title: 'Service', isShort: true, text: ({ service }) => service },
      { title: 'State', draw: (cell, { state, reason }) => drawState(cell, ...serviceStates[state], reason) },
      { title: 'Seen', isShort: true, text: ({ seenAt, state }) => (state === 'gone' ? atTime(seenAt) : 'now') },
      {
        title: 'Up for',
        isShort: true,
        text: ({ startedAt, seenAt }) => duration(roughly((Date.parse(seenAt) - Date.parse(startedAt)) / 1000)),
      },
      { title: 'Version', text: ({ version }) => version },
      {
        title: 'Requests/s',
        isNumber: true,
        text: ({ requestsPerSecond: rate }) => (rate === undefined ? '' : String(Math.round(rate * 10) / 10)),
      },
      { title: 'Memory', isNumber: true, text: ({ rssMb }) => (rssMb === undefined ? '' : `${Math.round(rssMb)} MB`) },
    ],
  })
}

/** Without the seconds of hours and the minutes of days, which would change all the time. */
function roughly(seconds: number): number {
  if (seconds < 3600) return Math.floor(seconds / 60) * 60 || seconds
  return seconds < 86_400 ? Math.floor(seconds / 60) * 60 : Math.floor(seconds / 3600) * 3600
}

function redisTable(): KeyedTable<RedisRow> {
  return new KeyedTable({
    caption: 'Redis',
    keyOf: ({ name }) => name,
    empty: 'No Redis: this replica keeps everything in its memory. Set REDIS_URL to share it.',
    columns: [
      { title: 'Holds', isShort: true, text: ({ name }) => (name === 'cache' ? 'Answers' : 'State') },
      {
        title: 'State',
        draw: (cell, { state, reason, since }) =>
          drawState(
            cell,
            ...redisStates[state],
            [reason, since && `since ${atTime(since)}`].filter(Boolean).join(', '),
          ),
      },
      { title: 'Topology', text: ({ topology }) => topology },
      {
        title: 'Latency',
        isNumber: true,
        text: ({ latencyMs }) => (latencyMs === undefined ? '' : `${Math.round(latencyMs * 10) / 10} ms`),
      },
    ],
  })
}

function breakersTable(): KeyedTable<BreakerRow> {
  return new KeyedTable({
    caption: 'Breakers by provider',
    keyOf: ({ provider }) => provider,
    empty: 'No provider is asked.',
    columns: [
      { title: 'Provider', text: ({ provider }) => provider },
      { title: 'State', draw: (cell, { state }) => drawState(cell, ...breakerStates[state]) },
    ],
  })
}

function backendsTable(): KeyedTable<BackendRow> {
  return new KeyedTable({
    caption: 'Backends of the edge',
    keyOf: ({ edge, group, address }) => `${edge} ${group} ${address}`,
    empty: 'No edge is known to this fleet.',
    columns: [
      { title: 'Address', text: ({ address }) => address },
      { title: 'Group', text: ({ group, edge }) => `${group} · ${edge}` },
      { title: 'State', draw: (cell, row) => drawState(cell, ...backendStates[row.state], lastErrorOf(row)) },
      { title: 'In flight', isNumber: true, text: ({ inFlight }) => count(inFlight) },
    ],
  })
}

function lastErrorOf({ lastError, lastErrorAt }: BackendRow): string {
  if (lastError === undefined) return ''
  return lastErrorAt === undefined ? lastError : `${lastError}, at ${atTime(lastErrorAt)}`
}
