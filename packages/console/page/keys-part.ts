import type { ConsoleKey, TestedKey } from '../src/contract.ts'
import { ask, sentenceOf } from './ask.ts'
import { confirmed } from './confirmed.ts'
import { button, byId, element, setText } from './element.ts'
import { atTime, count, duration, onDay, percent } from './format.ts'
import { drawBar, drawCountdown, drawState, KeyedTable, part, type Column, type Tone } from './keyed-table.ts'
import { sectionHead } from './section-head.ts'

/** What the states and reasons of `GET /keys` mean to whom they are new. */
const stateWords: Readonly<Record<string, readonly [tone: Tone, word: string]>> = {
  active: ['good', 'Active'],
  trial: ['warn', 'On trial'],
  cooling: ['bad', 'Resting'],
}
const reasonWords: Readonly<Record<string, string>> = {
  limited: 'over its rate limit',
  exhausted: 'quota used up',
  denied: 'refused by upstream: check the token',
  operator: 'benched by an operator',
}

/** Most urgent first; within that, the order of the settings. */
const urgency = (key: ConsoleKey): number => (key.state === 'cooling' ? 0 : key.state === 'active' ? 2 : 1)

/** The API keys by their hashed ids: what each does, why it rests, and how long it lasts. */
export class KeysPart {
  readonly #section = byId('keys')
  readonly #note = sectionHead(this.#section, 'Keys')
  readonly #outcome = element('p', { class: 'outcome', role: 'status' })
  readonly #table: KeyedTable<ConsoleKey>
  #keys: readonly ConsoleKey[] = []

  constructor(mayChange: boolean) {
    const columns: Column<ConsoleKey>[] = [
      { title: 'Key', draw: (cell, key) => drawId(cell, key) },
      { title: 'State', draw: (cell, key) => drawKeyState(cell, key) },
      { title: 'Back in', isShort: true, draw: (cell, { until }) => drawCountdown(cell, until) },
      { title: 'Products', text: productsOf },
      { title: 'Quota', draw: (cell, key) => drawQuota(cell, key) },
      { title: 'Empty on', isShort: true, text: ({ emptyOn }) => (emptyOn === undefined ? '' : onDay(emptyOn)) },
      { title: 'Share', isNumber: true, text: ({ share }) => percent(share, 1) },
      ...(mayChange ? [{ title: 'Actions', draw: this.#drawActions }] : []),
    ]
    const empty = 'No API keys: answers come from the embedded database. Set IPINFO_KEYS to ask ipinfo.io.'
    this.#table = new KeyedTable({ caption: 'API keys', columns, keyOf: ({ id }) => id, empty })
    this.#section.append(this.#table.view, this.#outcome)
  }

  update(keys: readonly ConsoleKey[]): void {
    this.#keys = keys
    const usable = keys.filter(({ state }) => state !== 'cooling').length
    setText(this.#note, keys.length === 0 ? '' : `${usable} of ${keys.length} in use`)
    this.#table.update(keys.toSorted((one, other) => urgency(one) - urgency(other)))
  }

  readonly #drawActions = (cell: HTMLElement, { id, state }: ConsoleKey): void => {
    const isBenched = state === 'cooling'
    const bench = part(cell, 0, () =>
      button('Bench…', () => this.#bench(id), { class: 'quiet', 'aria-label': `Bench key ${id}…` }),
    )
    const release = part(cell, 1, () =>
      button('Release', () => this.#change(id, 'release'), { class: 'quiet', 'aria-label': `Release key ${id}` }),
    )
    part(cell, 2, () =>
      button('Test', () => this.#change(id, 'test'), { class: 'quiet', 'aria-label': `Test key ${id}` }),
    )
    const [offered, other] = isBenched ? [release, bench] : [bench, release]
    offered.hidden = false
    // A button that hides loses the focus, and a keyboard its place.
    if (document.activeElement === other) offered.focus({ preventScroll: true })
    other.hidden = true
  }

  async #bench(id: string): Promise<void> {
    const times = [600, 3600, 86_400].map((seconds) => element('option', { value: seconds }, duration(seconds)))
    const select = element('select', { id: 'bench-seconds' }, ...times)
    const isSure = await confirmed({
      title: `Bench key ${id}?`,
      text: 'No replica asks with it until then, or until it is released. The other keys take its share.',
      action: 'Bench',
      more: [element('p', {}, element('label', { for: 'bench-seconds' }, 'For '), select)],
    })
    if (isSure) await this.#change(id, 'bench', `?seconds=${select.value}`)
  }

  async #change(id: string, action: 'bench' | 'release' | 'test', query = ''): Promise<void> {
    setText(this.#outcome, action === 'test' ? `Key ${id} is being tested…` : '')
    try {
      const key = await ask<ConsoleKey | TestedKey>(
        'POST',
        `/console/api/keys/${encodeURIComponent(id)}/${action}${query}`,
      )
      this.update(this.#keys.map((one) => (one.id === id ? { ...one, ...key } : one)))
      setText(this.#outcome, outcomeOf(key, action))
    } catch (error) {
      setText(this.#outcome, `Key ${id}: ${sentenceOf(error)}`)
    }
  }
}

function outcomeOf(key: ConsoleKey | TestedKey, action: string): string {
  if (!('tested' in key))
    return `Key ${key.id} is ${action === 'bench' ? 'benched on the whole fleet' : 'back in the rotation'}.`
  const { status, ms } = key.tested
  if (status === 0) return `Key ${key.id}: upstream did not answer within ${Math.round(ms)} ms.`
  const verdict = status === 200 ? 'is good' : 'was refused'
  return `Key ${key.id} ${verdict}: upstream answered ${status} after ${Math.round(ms)} ms. It cost no unit.`
}

function drawId(cell: HTMLElement, { id, group, provider }: ConsoleKey): void {
  setText(
    part(cell, 0, () => element('code')),
    id,
  )
  setText(
    part(cell, 1, () => element('span', { class: 'why' })),
    [provider, group].filter((word) => word !== undefined).join(' · '),
  )
}

function drawKeyState(cell: HTMLElement, { state, reason }: ConsoleKey): void {
  const [tone, word] = stateWords[state] ?? ['warn', state]
  drawState(cell, tone, word, reason === undefined ? '' : (reasonWords[reason] ?? reason))
}

function productsOf({ products = [] }: ConsoleKey): string {
  if (products.length === 0) return 'all'
  return products
    .map(({ product, reason, until }) => `${product}: ${reasonWords[reason] ?? reason} until ${atTime(until)}`)
    .join('; ')
}

function drawQuota(cell: HTMLElement, { used, remaining, limit, taken, overage }: ConsoleKey): void {
  const billed = overage === undefined || overage.units === 0 ? '' : `, ${count(overage.units)} billed`
  if (limit === undefined) return drawBar(cell, `${count(taken)} taken${billed}`, undefined)
  const gone = used ?? Math.max(0, limit - (remaining ?? limit))
  drawBar(cell, `${count(gone)} of ${count(limit)}${billed}`, gone / limit)
}
