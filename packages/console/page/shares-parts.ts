import type { ClientRow, SourceRow } from '../src/contract.ts'
import { byId, setText } from './element.ts'
import { atTime, count } from './format.ts'
import { drawBar, drawCountdown, drawState, KeyedTable, type Tone } from './keyed-table.ts'
import { sectionHead } from './section-head.ts'

/** Clients with budgets or limits, and what they have used of these. */
export class ClientsPart {
  readonly #note = sectionHead(byId('clients'), 'Clients')
  readonly #table = new KeyedTable<ClientRow>({
    caption: 'Clients and their budgets',
    keyOf: ({ id, budget }) => `${budget ?? ''} ${id}`,
    empty: 'No client has a budget. CLIENT_TOKENS gives clients tokens, and budgets.',
    columns: [
      { title: 'Client', text: ({ id }) => id },
      { title: 'Budget', isShort: true, text: ({ budget }) => budget ?? 'none' },
      { title: 'Used', draw: (cell, row) => drawUse(cell, row) },
      { title: 'Full again', isShort: true, text: ({ resets }) => (resets === undefined ? '' : atTime(resets)) },
    ],
  })

  constructor() {
    byId('clients').append(this.#table.view)
  }

  update(clients: readonly ClientRow[]): void {
    const spent = clients.filter(({ used = 0, limit }) => limit !== undefined && used >= limit).length
    setText(this.#note, spent === 0 ? '' : `${spent} without anything left`)
    this.#table.update(clients)
  }
}

function drawUse(cell: HTMLElement, { used, limit }: ClientRow): void {
  if (limit === undefined || used === undefined) drawBar(cell, used === undefined ? '' : count(used), undefined)
  else drawBar(cell, `${count(used)} of ${count(limit)}`, limit === 0 ? 1 : used / limit)
}

const sourceStates: Readonly<Record<SourceRow['state'], readonly [Tone, string]>> = {
  up: ['good', 'Up'],
  benched: ['warn', 'Resting'],
  down: ['bad', 'Down'],
}

/** Addresses from which the egress leaves, and why one is out. */
export class SourcesPart {
  readonly #note = sectionHead(byId('sources'), 'Egress sources')
  readonly #table = new KeyedTable<SourceRow>({
    caption: 'Egress sources',
    keyOf: ({ egress, label }) => `${egress} ${label}`,
    empty: 'No egress is known to this fleet: upstream is asked from the addresses of the replicas.',
    columns: [
      { title: 'Source', text: ({ label }) => label },
      { title: 'State', draw: (cell, { state, reason }) => drawState(cell, ...sourceStates[state], reason) },
      { title: 'Back in', isShort: true, draw: (cell, { until }) => drawCountdown(cell, until) },
      { title: 'Egress', text: ({ egress }) => egress },
      { title: 'Connections', isNumber: true, text: ({ tunnels }) => (tunnels === undefined ? '' : count(tunnels)) },
    ],
  })

  constructor() {
    byId('sources').append(this.#table.view)
  }

  update(sources: readonly SourceRow[]): void {
    const up = sources.filter(({ state }) => state === 'up').length
    setText(this.#note, sources.length === 0 ? '' : `${up} of ${sources.length} up`)
    this.#table.update(sources.toSorted((one, other) => Number(one.state === 'up') - Number(other.state === 'up')))
  }
}
