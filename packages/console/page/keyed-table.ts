import { duration } from './format.ts'
import { button, element, setAttributes, setText } from './element.ts'

export interface Column<Row> {
  readonly title: string
  readonly isNumber?: boolean
  /** Its words are few, and stay in one line however long other columns are. */
  readonly isShort?: boolean
  /** What the cell says. */
  readonly text?: (row: Row) => string
  /** For more than a text: called with the same cell again and again, and changes what differs. */
  readonly draw?: (cell: HTMLTableCellElement, row: Row) => void
}

export interface KeyedTableOptions<Row> {
  readonly caption: string
  readonly columns: readonly Column<Row>[]
  /** Names the row among the others, and stays the same as the row changes. */
  readonly keyOf: (row: Row) => string
  /** What stands in place of the table when there are no rows. */
  readonly empty: string
}

/** So many rows are shown before the user asks for all, and so many are drawn in one frame. */
const firstRows = matchMedia('(max-width: 46rem)').matches ? 4 : 12
const rowsAtOnce = 20

/** A table whose rows keep their elements from one update to the next, so that focus, selection and layout stay. */
export class KeyedTable<Row> {
  readonly view: HTMLElement
  readonly #options: KeyedTableOptions<Row>
  readonly #table: HTMLTableElement
  readonly #body = element('tbody', { role: 'rowgroup' })
  readonly #empty: HTMLElement
  readonly #all: HTMLButtonElement
  readonly #lines = new Map<string, HTMLTableRowElement>()
  #rows: readonly Row[] = []
  #showsAll = false
  #drawn: readonly Row[] = []
  #pending = 0

  constructor(options: KeyedTableOptions<Row>) {
    this.#options = options
    // Roles are said, for a phone lays the table out as cards, and a browser then takes it for none.
    const heads = options.columns.map((column) =>
      element('th', { scope: 'col', role: 'columnheader', ...attributesOf(column) }, column.title),
    )
    this.#table = element(
      'table',
      { role: 'table' },
      element('caption', { class: 'unseen' }, options.caption),
      element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' }, ...heads)),
      this.#body,
    )
    this.#empty = element('p', { class: 'empty' }, options.empty)
    this.#all = button('', () => this.#toggle(), { class: 'quiet' })
    this.view = element('div', { class: 'table' }, this.#table, this.#empty, this.#all)
    this.update([])
  }

  /** Shows these rows in this order. */
  update(rows: readonly Row[]): void {
    this.#rows = rows
    this.#table.hidden = rows.length === 0
    this.#empty.hidden = rows.length > 0
    this.#all.hidden = rows.length <= firstRows
    setText(this.#all, this.#showsAll ? 'Show fewer' : `Show all ${rows.length}`)
    this.#draw()
  }

  #toggle(): void {
    this.#showsAll = !this.#showsAll
    cancelAnimationFrame(this.#pending)
    this.#pending = 0
    this.update(this.#rows)
  }

  /** New rows wait for those that are being drawn: they may come faster than all are drawn. */
  #draw(): void {
    if (this.#pending !== 0) return
    this.#drawn = this.#rows
    const shown = this.#showsAll ? this.#rows : this.#rows.slice(0, firstRows)
    const keys = new Set(shown.map((row) => this.#options.keyOf(row)))
    for (const [key, line] of this.#lines) {
      if (keys.has(key)) continue
      line.remove()
      this.#lines.delete(key)
    }
    this.#drawSome(shown, this.#body.firstChild)
  }

  /** Some rows in this frame and the rest in later ones, so that no layout takes long. @param place of the first one */
  #drawSome(rows: readonly Row[], place: ChildNode | null): void {
    let next = place
    for (const row of rows.slice(0, rowsAtOnce)) {
      const key = this.#options.keyOf(row)
      const line = this.#lines.get(key) ?? this.#newLine(key)
      this.#fill(line, row)
      if (line === next) next = line.nextSibling
      else this.#move(line, next)
    }
    const rest = rows.slice(rowsAtOnce)
    this.#pending = 0
    if (rest.length > 0) this.#pending = requestAnimationFrame(() => this.#drawSome(rest, next))
    else if (this.#drawn !== this.#rows) this.#pending = requestAnimationFrame(() => this.#drawAgain())
  }

  #drawAgain(): void {
    this.#pending = 0
    this.#draw()
  }

  /** With the focus, if it is in this row. */
  #move(line: HTMLTableRowElement, next: ChildNode | null): void {
    const focused = document.activeElement
    this.#body.insertBefore(line, next)
    if (focused instanceof HTMLElement && line.contains(focused)) focused.focus({ preventScroll: true })
  }

  #newLine(key: string): HTMLTableRowElement {
    const cells = this.#options.columns.map((column, index) =>
      index === 0
        ? element('th', { scope: 'row', role: 'rowheader', ...attributesOf(column) })
        : element('td', { role: 'cell', ...attributesOf(column) }),
    )
    const line = element('tr', { role: 'row' }, ...cells)
    this.#lines.set(key, line)
    return line
  }

  #fill(line: HTMLTableRowElement, row: Row): void {
    for (const [index, { text, draw }] of this.#options.columns.entries()) {
      const cell = line.cells[index]
      if (cell === undefined) continue
      if (text !== undefined) setText(cell, text(row))
      draw?.(cell, row)
    }
  }
}

const attributesOf = ({ title, isNumber, isShort }: Omit<Column<never>, 'text' | 'draw'>) => ({
  'data-title': title,
  class: isNumber === true ? 'number' : isShort === true ? 'short' : undefined,
})

/** The child of `cell` at `index`, made by `make` when the cell is new. */
export function part<Made extends HTMLElement>(cell: HTMLElement, index: number, make: () => Made): Made {
  const known = cell.children[index]
  if (known !== undefined) return known as Made
  const made = make()
  cell.append(made)
  return made
}

export type Tone = 'good' | 'warn' | 'bad' | 'idle'

/** A state in words, with a shape and a colour of its own: neither colour nor shape alone says it. */
export function drawState(cell: HTMLElement, tone: Tone, word: string, why = ''): void {
  const state = part(cell, 0, () => element('span'))
  setAttributes(state, { class: `state ${tone}` })
  setText(state, word)
  const reason = part(cell, 1, () => element('span', { class: 'why' }))
  setText(reason, why)
}

/**
 * A bar that is full at 1. Its number stands beside it as text, so a screen reader passes it by.
 * @param isUse of something that may run out, so that a full one is bad; else progress
 */
export function drawBar(cell: HTMLElement, text: string, share: number | undefined, isUse = true): void {
  const bar = part(cell, 0, () => element('span', { class: 'bar', 'aria-hidden': 'true' }, element('span')))
  bar.hidden = share === undefined
  const filled = bar.firstElementChild as HTMLElement
  const width = `${Math.round(Math.min(1, Math.max(0, share ?? 0)) * 1000) / 10}%`
  if (filled.style.width !== width) filled.style.width = width
  setAttributes(bar, { class: isUse && (share ?? 0) >= 0.9 ? 'bar full' : 'bar' })
  const said = part(cell, 1, () => element('span', { class: 'bar-text' }))
  setText(said, text)
}

/** A time to come, which counts down; without one, nothing. */
export function drawCountdown(cell: HTMLElement, until: string | undefined): void {
  const time = part(cell, 0, () => element('time'))
  setAttributes(time, { datetime: until })
  if (until === undefined) setText(time, '')
  else tick(time)
}

/** How far the clock of the fleet is ahead of the browser's. */
let aheadMs = 0

/** @param at what time it is for the fleet */
export function setClock(at: string): void {
  aheadMs = Date.parse(at) - Date.now()
}

/** Called each second for what counts down. */
export function tickCountdowns(): void {
  for (const time of document.querySelectorAll<HTMLTimeElement>('td > time[datetime]')) tick(time)
}

function tick(time: HTMLTimeElement): void {
  const seconds = (Date.parse(time.dateTime) - Date.now() - aheadMs) / 1000
  setText(time, seconds <= 0 ? 'any moment' : duration(seconds))
}
