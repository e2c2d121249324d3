import type { Verdict } from '../src/contract.ts'
import { byId, element, setText } from './element.ts'

/** The first sentence of the page: whether all is well, else what is not, and what to do first. */
export class VerdictPart {
  readonly #live = byId('verdict-live')
  #shown = ''

  /** Is read out when it changes, and only then. */
  update(verdict: Verdict): void {
    const now = JSON.stringify(verdict)
    if (now === this.#shown) return
    this.#shown = now
    const { state, sentence, action, others } = verdict
    const isWell = state === 'green'
    byId('verdict').className = state
    document.title = `${isWell ? 'OK' : 'Trouble'} · ipfleet`
    this.#live.replaceChildren(
      element('p', { class: 'sentence' }, element('span', { class: 'sign' }, isWell ? 'OK' : 'Trouble'), ' ', sentence),
      ...(action === undefined ? [] : [element('p', { class: 'action' }, action)]),
      ...(others.length === 0 ? [] : [element('ul', {}, ...others.map((other) => element('li', {}, other)))]),
    )
  }

  /** What was last said may not be so any more. */
  markStale(isStale: boolean): void {
    byId('verdict').toggleAttribute('data-stale', isStale)
    if (isStale) setText(byId('verdict-title'), 'State of the fleet, as last seen')
    else setText(byId('verdict-title'), 'State of the fleet')
  }
}
