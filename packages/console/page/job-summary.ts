import { element, setAttributes, svgElement } from './element.ts'
import { count, countryName, percent } from './format.ts'
import { saveButtons } from './save-picture.ts'
import { WorldMap } from './world-map.ts'

type Counts = Readonly<Record<string, number>>

/** `GET /jobs/{id}/summary`, as far as it is shown here. */
export interface Summary {
  readonly total: number
  readonly unique: number
  readonly countries?: Counts
  readonly asns?: Counts
  readonly ipTypes?: Counts
  readonly privacy?: Counts
  readonly mobile?: number
  readonly anycast?: number
  readonly bogon?: number
}

type Bar = readonly [name: string, value: number]

interface Group {
  readonly title: string
  readonly bars: readonly Bar[]
}

const barsShown = 8

/** What a list has in common: a map, and what is most of it. The same can be saved as one picture. */
export async function jobSummary(id: string, summary: Summary): Promise<HTMLElement> {
  const label = `World map, countries by addresses: ${topOf(summary.countries)
    .map(([name, value]) => `${countryName(name)} ${count(value)}`)
    .join(', ')}`
  const map = await WorldMap.draw(label)
  map.shade(summary.countries ?? {})
  const groups = groupsOf(summary).map((group) => groupTable(group, summary.total))
  const sentence = `${count(summary.total)} addresses, ${count(summary.unique)} different ones`
  return element(
    'div',
    { class: 'summary' },
    element('p', {}, sentence),
    map.view,
    element('div', { class: 'columns' }, ...groups),
    saveButtons(`summary-${id}`, () => summaryPicture(summary, sentence)),
  )
}

function groupsOf(summary: Summary): Group[] {
  const { mobile = 0, anycast = 0, bogon = 0, privacy = {}, ipTypes = {} } = summary
  const kinds = { ...privacy, mobile, anycast, 'reserved address': bogon }
  const groups = [
    { title: 'Countries', bars: topOf(summary.countries).map(([code, value]): Bar => [countryName(code), value]) },
    { title: 'Networks', bars: topOf(summary.asns) },
    { title: 'Kinds', bars: topOf(ipTypes) },
    { title: 'Privacy and more', bars: topOf(kinds) },
  ]
  return groups.filter(({ bars }) => bars.length > 0)
}

const topOf = (counts: Counts = {}): Bar[] =>
  Object.entries(counts)
    .filter(([, value]) => value > 0)
    .toSorted(([, one], [, other]) => other - one)
    .slice(0, barsShown)

function groupTable({ title, bars }: Group, total: number): HTMLElement {
  const lines = bars.map(([name, value]) => {
    const bar = element('span', { class: 'bar', 'aria-hidden': 'true' }, element('span'))
    const filled = bar.firstElementChild as HTMLElement
    filled.style.width = percentWidth(value, total)
    return element(
      'tr',
      {},
      element('th', { scope: 'row' }, name, bar),
      element('td', { class: 'number' }, count(value)),
      element('td', { class: 'number' }, percent(value, total)),
    )
  })
  return element('table', { class: 'ranking' }, element('caption', {}, title), element('tbody', {}, ...lines))
}

const percentWidth = (value: number, total: number): string => `${Math.min(100, (value / Math.max(1, total)) * 100)}%`

const mapWidth = 720
const mapHeight = 375
const margin = 24
const lineHeight = 22

/** The summary as one drawing, with nothing from outside of it. */
async function summaryPicture(summary: Summary, sentence: string): Promise<SVGSVGElement> {
  const map = await WorldMap.draw('')
  map.shade(summary.countries ?? {})
  const columns = groupsOf(summary)
  const height = mapHeight + (barsShown + 2) * lineHeight + margin * 3
  const width = mapWidth * 1.5
  setAttributes(map.view, { x: width / 6, y: margin + 16, width: mapWidth, height: mapHeight })
  const columnWidth = (width - margin * 2) / Math.max(1, columns.length)
  const drawnGroups = columns.flatMap((group, index) =>
    drawGroup(group, summary.total, margin + index * columnWidth, columnWidth - margin),
  )
  return svgElement(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, class: 'picture' },
    svgElement('rect', { x: 0, y: 0, width, height, class: 'paper' }),
    svgElement('text', { x: margin, y: margin + 8, class: 'title' }, sentence),
    map.view,
    ...drawnGroups,
  )
}

function drawGroup({ title, bars }: Group, total: number, left: number, width: number): SVGElement[] {
  const top = mapHeight + margin * 2 + 24
  const fitting = Math.floor((width - 60) / 8.6)
  const lines = bars.flatMap(([name, value], index) => {
    const y = top + (index + 1) * lineHeight
    const shown = name.length > fitting ? `${name.slice(0, fitting - 1)}…` : name
    return [
      svgElement('rect', {
        x: left,
        y: y - 15,
        width: Math.max(1, (value / Math.max(1, total)) * width),
        height: lineHeight - 3,
        class: 'filled',
      }),
      svgElement('text', { x: left + 4, y }, shown),
      svgElement('text', { x: left + width - 2, y, 'text-anchor': 'end' }, percent(value, total)),
    ]
  })
  return [svgElement('text', { x: left, y: top, class: 'title' }, title), ...lines]
}
