import type { Flow } from '../src/contract.ts'
import { ask, sentenceOf } from './ask.ts'
import { confirmed } from './confirmed.ts'
import { button, byId, element, setText } from './element.ts'
import { FlowChart } from './flow-chart.ts'
import { FlowRiver } from './flow-river.ts'
import { money, percent, shortCount } from './format.ts'
import { sectionHead } from './section-head.ts'

const stages = [
  ['asked', 'Asked', 'look-ups'],
  ['memory', 'Memory', 'answered by a replica itself'],
  ['redis', 'Redis', 'answered by what another replica knew'],
  ['coalesced', 'Coalesced', 'waited for a look-up under way'],
  ['offline', 'Embedded', 'answered by the embedded database'],
  ['upstream', 'Upstream', 'units spent'],
] as const

/** What became of the requests of the last hour: numbers, a picture of all of them, and minute by minute. */
export class FlowPart {
  readonly #section = byId('flow')
  readonly #note = sectionHead(this.#section, 'The last hour')
  readonly #numbers = new Map<string, readonly [value: HTMLElement, share: HTMLElement]>()
  readonly #stages: HTMLElement
  readonly #saved = element('p', { class: 'saved' })
  readonly #river = new FlowRiver()
  readonly #chart = new FlowChart()

  constructor(mayChange: boolean) {
    const tiles = stages.map(([name, title, meaning]) => {
      const value = element('strong')
      const share = element('small')
      this.#numbers.set(name, [value, share])
      return element('li', { class: `stage ${name}`, title: meaning }, element('span', {}, title), value, share)
    })
    this.#stages = element('ol', { class: 'stages' }, ...tiles)
    this.#section.append(this.#stages, this.#river.view, this.#saved, this.#chart.view)
    if (mayChange) this.#note.after(this.#purge())
  }

  update({ minutes, totals, money: spent }: Flow): void {
    const { asked, upstream, saved, failed } = totals
    for (const [name, , meaning] of stages) {
      const [value, share] = this.#numbers.get(name) ?? []
      if (value === undefined || share === undefined) continue
      setText(value, shortCount(totals[name]))
      setText(share, name === 'asked' || name === 'upstream' ? meaning : percent(totals[name], asked))
    }
    this.#stages.classList.toggle('without-offline', totals.offline === 0)
    setText(this.#note, failed > 0 ? `${shortCount(failed)} without an answer` : '')
    const inMoney =
      spent === undefined
        ? ''
        : ` That is ${money(spent.saved, spent.currency)}; ${money(spent.spent, spent.currency)} was spent.`
    const sentence = `${shortCount(saved)} upstream ${saved === 1 ? 'unit' : 'units'} saved, ${shortCount(upstream)} spent.${inMoney}`
    setText(this.#saved, asked === 0 ? 'Nothing was asked in the last hour. Try an address below.' : sentence)
    this.#river.update(totals)
    this.#chart.update(minutes)
  }

  #purge(): HTMLElement {
    const outcome = element('span', { class: 'outcome', role: 'status' })
    const purge = async (): Promise<void> => {
      const isSure = await confirmed({
        title: 'Forget all answers?',
        text: 'Every address is asked upstream again, which spends units and makes the next look-ups slower.',
        action: 'Forget all answers',
      })
      if (!isSure) return
      setText(outcome, 'Forgetting…')
      try {
        await ask('DELETE', '/console/api/cache')
        setText(outcome, 'All answers are forgotten.')
      } catch (error) {
        setText(outcome, sentenceOf(error))
      }
    }
    return element('p', { class: 'actions aside' }, button('Forget all answers…', purge, { class: 'quiet' }), outcome)
  }
}
