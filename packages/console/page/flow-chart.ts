import uPlot from 'uplot'
import type { FlowMinute } from '../src/contract.ts'
import { element, setAttributes, setText } from './element.ts'
import { atMinute, count } from './format.ts'

/** From the bottom: what costs stands on the axis, so that it can be compared from minute to minute. */
const layers = [
  ['upstream', 'Upstream', 'asked upstream'],
  ['failed', 'Failed', 'failed'],
  ['offline', 'Embedded', 'from the embedded database'],
  ['coalesced', 'Coalesced', 'coalesced'],
  ['redis', 'Redis', 'from Redis'],
  ['memory', 'Memory', 'from memory'],
] as const

const height = 170

/** The last hour minute by minute: bars of what answered, one on top of the other, and the same as a table. */
export class FlowChart {
  readonly view: HTMLElement
  readonly #canvas = element('div', { class: 'canvas', role: 'img' })
  readonly #swatches = new Map<string, HTMLElement>()
  readonly #readout = element('p', { class: 'readout' })
  readonly #table = element('table', {})
  readonly #details: HTMLDetailsElement
  #minutes: readonly FlowMinute[] = []
  #chart: uPlot | undefined

  constructor() {
    const legend = layers.toReversed().map(([name, title]) => {
      const swatch = element('i', { class: name, 'aria-hidden': 'true' })
      this.#swatches.set(name, swatch)
      return element('li', {}, swatch, title)
    })
    this.#details = element(
      'details',
      {},
      element('summary', {}, 'As a table'),
      element(
        'div',
        { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'The last hour by minute' },
        this.#table,
      ),
    )
    this.#details.addEventListener('toggle', () => this.#fillTable())
    const below = element('div', { class: 'below' }, element('ul', { class: 'legend' }, ...legend), this.#readout)
    this.view = element('div', { class: 'chart' }, this.#canvas, below, this.#details)
    new ResizeObserver(() => this.#fit()).observe(this.#canvas)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#repaint())
    document.addEventListener('themechange', () => this.#repaint())
  }

  update(minutes: readonly FlowMinute[]): void {
    this.#minutes = minutes
    const peak = minutes.reduce((most, { asked }) => Math.max(most, asked), 0)
    const last = minutes.at(-1)
    const label = `Look-ups by minute over the last hour, at most ${count(peak)} a minute, now ${count(last?.asked ?? 0)}`
    setAttributes(this.#canvas, { 'aria-label': label })
    if (minutes.length === 0) return
    if (this.#chart === undefined) this.#chart = this.#create()
    else this.#chart.setData(stacked(minutes))
    if (this.#details.open) this.#fillTable()
    this.#tell(this.#chart.cursor.idx)
  }

  #create(): uPlot {
    const color = (name: string): string => getComputedStyle(this.#swatches.get(name) ?? this.#canvas).backgroundColor
    const faint = (): string => getComputedStyle(this.#readout).color
    const grid = (): string => getComputedStyle(this.#canvas).borderTopColor
    const bars = uPlot.paths.bars?.({ size: [0.82, 14], radius: 0 })
    const font = '11px system-ui, sans-serif'
    const axis = { stroke: faint, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } }
    const series = layers.toReversed().map(([name]) => ({
      fill: () => color(name),
      stroke: () => color(name),
      width: 0,
      points: { show: false },
      ...(bars && { paths: bars }),
    }))
    const options: uPlot.Options = {
      width: this.#canvas.clientWidth,
      height,
      series: [{}, ...series],
      axes: [
        {
          ...axis,
          size: 26,
          grid: { show: false },
          values: (_chart, times) => times.map((at) => atMinute(new Date(at * 1000).toISOString())),
        },
        {
          ...axis,
          size: 48,
          values: (_chart, values) => values.map((value) => (Number.isInteger(value) ? count(value) : '')),
        },
      ],
      // The last time stands beyond the end of its bar.
      padding: [8, 14, 0, 0],
      // Half a minute more on both sides, for a bar stands around its minute.
      scales: {
        x: { range: (_chart, min, max) => [min - 30, max + 30] },
        y: { range: (_chart, _min, max) => [0, Math.max(4, max * 1.08)] },
      },
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      hooks: { setCursor: [(chart) => this.#tell(chart.cursor.idx)] },
    }
    return new uPlot(options, stacked(this.#minutes), this.#canvas)
  }

  /** What one minute, by the pointer or the last one, was made of. */
  #tell(index: number | null | undefined): void {
    const minute = this.#minutes[index ?? this.#minutes.length - 1]
    if (minute === undefined) return
    const parts = layers
      .toReversed()
      .flatMap(([name, , words]) => (minute[name] > 0 ? [`${count(minute[name])} ${words}`] : []))
    setText(this.#readout, `${atMinute(minute.at)}: ${[`${count(minute.asked)} asked`, ...parts].join(', ')}`)
  }

  #fit(): void {
    const width = this.#canvas.clientWidth
    if (width > 0 && this.#chart !== undefined && this.#chart.width !== width) this.#chart.setSize({ width, height })
  }

  #repaint(): void {
    this.#chart?.redraw(false)
  }

  #fillTable(): void {
    const heads = ['Minute', 'Asked', ...layers.toReversed().map(([, title]) => title)]
    const lines = this.#minutes.toReversed().map((minute) => {
      const numbers = [minute.asked, ...layers.toReversed().map(([name]) => minute[name])]
      return element(
        'tr',
        {},
        element('th', { scope: 'row' }, atMinute(minute.at)),
        ...numbers.map((value) => element('td', { class: 'number' }, count(value))),
      )
    })
    this.#table.replaceChildren(
      element('caption', { class: 'unseen' }, 'Look-ups of the last hour by minute'),
      element(
        'thead',
        {},
        element(
          'tr',
          {},
          ...heads.map((head, index) => element('th', { scope: 'col', class: index > 0 ? 'number' : undefined }, head)),
        ),
      ),
      element('tbody', {}, ...lines),
    )
  }
}

/** Times in seconds, then the layers from the highest sum down: each is drawn over the one before. */
function stacked(minutes: readonly FlowMinute[]): uPlot.AlignedData {
  const sums = layers.map((_layer, index) =>
    minutes.map((minute) => layers.slice(0, index + 1).reduce((sum, [name]) => sum + minute[name], 0)),
  )
  return [minutes.map(({ at }) => Date.parse(at) / 1000), ...sums.toReversed()]
}
