import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly datasource?: { readonly uid: string }
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[]
}

interface Dashboard {
  readonly uid?: string
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] }
}

const folder = new URL('../../../services/grafana/', import.meta.url)
const { panels, templating, uid }: Dashboard = JSON.parse(
  readFileSync(new URL('dashboards/ipfleet.json', folder), 'utf8'),
)
const graphs = panels.filter(({ type }) => type !== 'row')

test('panels stand beside each other, each with an id of its own', () => {
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  const taken = new Map<string, string>()
  for (const { title, gridPos } of panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect(x).toBeLessThan(24)
        expect([x, y, title, taken.get(`${x} ${y}`)]).toEqual([x, y, title, undefined])
        taken.set(`${x} ${y}`, title)
      }
    }
  }
})

test('each says what it shows, and asks the data source that is chosen', () => {
  for (const { title, description, datasource, targets = [] } of graphs) {
    expect([title, description]).toEqual([expect.stringMatching(/\S/), expect.stringMatching(/\S/)])
    expect(targets.length).toBeGreaterThan(0)
    expect([datasource?.uid, ...targets.map((target) => target.datasource.uid)]).toEqual(
      Array.from({ length: targets.length + 1 }, () => '${datasource}'),
    )
  }
})

test('it can be imported anywhere: data source, job and replica are chosen, and no uid is given', () => {
  expect(templating.list.map(({ name, type }) => [name, type])).toEqual([
    ['datasource', 'datasource'],
    ['job', 'query'],
    ['instance', 'query'],
  ])
  expect(uid).toBeUndefined()
  for (const expr of graphs.flatMap(({ targets = [] }) => targets.map((target) => target.expr))) {
    const metrics = expr.match(/\b(?:ipfleet|http|process|nodejs)_\w+/g) ?? []
    expect(metrics.length).toBeGreaterThan(0)
    expect([expr, expr.split('{job=~"$job", instance=~"$instance"').length - 1]).toEqual([expr, metrics.length])
  }
  expect(readFileSync(new URL('provisioning/datasources/prometheus.yml', folder), 'utf8')).not.toContain('uid:')
})

test('rates are over an interval that fits the scrapes, whatever the time shown', () => {
  const rates = graphs
    .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .filter((expr) => expr.includes('rate('))
  expect(rates.length).toBeGreaterThan(0)
  for (const expr of rates) expect(expr).toContain('[$__rate_interval]')
})
