import { element } from './element.ts'

/** Gives a section of index.html its title, and a place beside it for one short sentence. */
export function sectionHead(section: HTMLElement, title: string): HTMLElement {
  const id = `${section.id}-title`
  section.setAttribute('aria-labelledby', id)
  const note = element('p', { class: 'note' })
  section.append(element('div', { class: 'head' }, element('h2', { id }, title), note))
  return note
}
