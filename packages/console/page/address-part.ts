import type { AnsweredQuery } from '../src/contract.ts'
import { ask, sentenceOf } from './ask.ts'
import { byId, definitions, element, setText } from './element.ts'
import { count, countryName, duration } from './format.ts'
import { sectionHead } from './section-head.ts'
import { WorldMap } from './world-map.ts'

const tierWords: Readonly<Record<AnsweredQuery['tier'], string>> = {
  memory: 'this replica’s memory',
  redis: 'Redis',
  upstream: 'upstream',
  offline: 'the embedded database',
  none: 'nowhere',
}

/** A box for one address or AS number: the record, where it is, and how the fleet came to answer it. */
export class AddressPart {
  readonly #section = byId('address')
  readonly #input = element('input', {
    id: 'query',
    name: 'q',
    required: '',
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
    placeholder: '8.8.8.8',
    'aria-describedby': 'query-help',
  })
  readonly #outcome = element('p', { class: 'error', role: 'alert' })
  readonly #answer = element('div', { class: 'answer', 'aria-live': 'polite' })
  #asked = 0

  constructor() {
    sectionHead(this.#section, 'Look up')
    const form = element(
      'form',
      { class: 'line', role: 'search' },
      element('label', { for: 'query' }, 'Address or AS number'),
      this.#input,
      element('button', { type: 'submit', class: 'primary' }, 'Look up'),
    )
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#lookUp(this.#input.value.trim())
    })
    const help = element(
      'p',
      { id: 'query-help', class: 'note' },
      'It counts as any look-up, and costs what any costs.',
    )
    this.#section.append(form, help, this.#outcome, this.#answer)
  }

  async #lookUp(query: string): Promise<void> {
    const turn = (this.#asked += 1)
    setText(this.#outcome, '')
    this.#answer.replaceChildren(element('p', { class: 'note' }, `${query} is being looked up…`))
    try {
      const answered = await ask<AnsweredQuery>('GET', `/console/api/lookup?q=${encodeURIComponent(query)}`)
      const shown = await answerView(answered)
      if (turn === this.#asked) this.#answer.replaceChildren(...shown)
    } catch (error) {
      if (turn !== this.#asked) return
      this.#answer.replaceChildren()
      setText(this.#outcome, sentenceOf(error))
    }
  }
}

async function answerView(answered: AnsweredQuery): Promise<readonly HTMLElement[]> {
  const fields = flattened(answered.record)
  const valueOf = (...names: readonly string[]): string =>
    names.map((name) => fields.get(name)).find((value) => value !== undefined) ?? ''
  const lines = [...fields].map(([name, value]) =>
    element('tr', {}, element('th', { scope: 'row' }, name), element('td', {}, value)),
  )
  const record = element(
    'table',
    { class: 'record' },
    element('caption', { class: 'unseen' }, `The record of ${answered.query}`),
    element('tbody', {}, ...lines),
  )
  const raw = element(
    'pre',
    { tabindex: 0, 'aria-label': 'The record as JSON' },
    JSON.stringify(answered.record, null, 2),
  )
  const json = element('details', {}, element('summary', {}, 'As JSON'), raw)
  const country = valueOf('country_code', 'country', 'geo.country_code')
  const place = [valueOf('city', 'geo.city'), countryName(country)].filter((part) => part !== '').join(', ')
  const map = await WorldMap.draw(
    place === '' ? 'World map. The record names no place.' : `World map with a mark at ${place}`,
  )
  map.markCountry(country)
  const loc = valueOf('loc') || `${valueOf('geo.latitude')},${valueOf('geo.longitude')}`
  if (loc !== ',') map.markPlace(loc, place)
  const how = definitions(howAnswered(answered))
  return [
    element('div', { class: 'columns wide' }, element('div', {}, record, json), element('div', {}, map.view, how)),
  ]
}

function howAnswered({
  status,
  tier,
  ageSeconds,
  ttlSeconds,
  keyClass,
  units,
  nextCosts,
}: AnsweredQuery): [string, string][] {
  return [
    ['Status', String(status)],
    ['Answered from', tierWords[tier]],
    ...(ageSeconds === undefined ? [] : [['Age', duration(ageSeconds)] as [string, string]]),
    ...(ttlSeconds === undefined ? [] : [['Fresh for', duration(ttlSeconds)] as [string, string]]),
    ...(keyClass === undefined ? [] : [['Kind of key', keyClass] as [string, string]]),
    ['This one cost', cost(units)],
    ['The next one costs', cost(nextCosts)],
  ]
}

const cost = (value: number): string =>
  value === 0 ? 'nothing' : `${count(value)} upstream ${value === 1 ? 'unit' : 'units'}`

const isPlain = (value: unknown): boolean => typeof value !== 'object' || value === null

/** Members by their paths, `asn.name`, with what they hold as text. A list of plain values is one line. */
function flattened(value: unknown, path = '', fields = new Map<string, string>()): Map<string, string> {
  if (isPlain(value)) fields.set(path, String(value))
  else if (Array.isArray(value) && value.every((one) => isPlain(one))) fields.set(path, value.join(', '))
  else {
    const members: [string, unknown][] = Object.entries(value as object)
    for (const [name, member] of members) flattened(member, path === '' ? name : `${path}.${name}`, fields)
  }
  return fields
}
