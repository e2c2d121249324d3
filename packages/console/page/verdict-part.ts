import type { Verdict } from '../src/contract.ts'
import { byId, element, setText } from './element.ts'
import { atSecond } from './format.ts'

/** The first sentence of the page: whether all is well, else what is not, and what to do first. */
export class VerdictPart {
  readonly #live = byId('verdict-live')
  #shown = ''
  #title = document.title
  #isStale = false

  constructor() {
    document.addEventListener('visibilitychange', () => this.#entitle())
  }

  /** Is read out when it changes, and only then. */
  update(verdict: Verdict): void {
    const now = JSON.stringify(verdict)
    if (now === this.#shown) return
    this.#shown = now
    const { state, sentence, action, others } = verdict
    const isWell = state === 'green'
    byId('verdict').className = state
    this.#title = `${isWell ? 'OK' : 'Trouble'} · ipfleet`
    this.#entitle()
    this.#live.replaceChildren(
      element('p', { class: 'sentence' }, element('span', { class: 'sign' }, isWell ? 'OK' : 'Trouble'), ' ', sentence),
      ...(action === undefined ? [] : [element('p', { class: 'action' }, action)]),
      ...(others.length === 0 ? [] : [element('ul', {}, ...others.map((other) => element('li', {}, other)))]),
    )
  }

  /** What was last said may not be so any more. */
  markStale(since: Date | undefined): void {
    const isStale = since !== undefined
    byId('verdict').toggleAttribute('data-stale', isStale)
    byId('verdict-title').classList.toggle('unseen', !isStale)
    setText(byId('verdict-title'), isStale ? `As last seen at ${atSecond(since)}` : 'State of the fleet')
    this.#isStale = isStale
    this.#entitle()
  }

  /** Nothing comes to a tab in the background: its title, which is all that is seen of it, then tells no state. */
  #entitle(): void {
    if (document.hidden) document.title = 'ipfleet'
    else document.title = this.#isStale ? 'Stale · ipfleet' : this.#title
  }
}
