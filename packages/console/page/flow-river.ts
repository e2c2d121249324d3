import type { FlowCounts } from '../src/contract.ts'
import { percent, shortCount } from './format.ts'
import { setAttributes, svgElement } from './element.ts'

const width = 1000
const height = 160
const fullBand = 90
const bend = 24
const branches = ['memory', 'redis', 'coalesced', 'offline'] as const

/**
 * A band as high as what was asked, from which each tier takes what it answers; what is left at the end goes upstream.
 * Its stages stand below the numbers' columns.
 */
export class FlowRiver {
  readonly view = svgElement('svg', {
    viewBox: `0 0 ${width} ${height}`,
    class: 'river',
    role: 'img',
    preserveAspectRatio: 'none',
  })
  readonly #paths = new Map<string, SVGPathElement>()

  constructor() {
    for (const name of [...branches, 'upstream', 'failed']) {
      const path = svgElement('path', { class: name })
      this.#paths.set(name, path)
      this.view.append(path)
    }
  }

  update(totals: FlowCounts): void {
    const { asked, upstream } = totals
    const all = [...branches, 'upstream', 'failed'] as const
    const passed = Math.max(
      1,
      all.reduce((sum, name) => sum + totals[name], 0),
    )
    // Asked and upstream have columns too; the embedded database has one when it has answered something.
    const step = width / (totals.offline > 0 ? branches.length + 2 : branches.length + 1)
    const scaled = (value: number): number => (value === 0 ? 0 : Math.max(2, (value / passed) * fullBand))
    // The tier that answers first flows lowest, so that no branch crosses another.
    let top = 4
    for (const name of ['upstream', 'failed'] as const) {
      const thick = scaled(totals[name])
      setAttributes(this.#path(name), { d: thick === 0 ? '' : band(top, thick) })
      top += thick
    }
    for (const [index, name] of [...branches.entries()].toReversed()) {
      const thick = scaled(totals[name])
      setAttributes(this.#path(name), { d: thick === 0 ? '' : branch((index + 1) * step, step, top, thick) })
      top += thick
    }
    const shares = branches.map((name) => `${percent(totals[name], asked)} by ${name}`).join(', ')
    setAttributes(this.view, {
      'aria-label': `Of ${shortCount(asked)} look-ups, answered: ${shares}. ${shortCount(upstream)} units went upstream.`,
    })
  }

  #path(name: string): SVGPathElement {
    const path = this.#paths.get(name)
    if (path === undefined) throw new Error(`no path ${name}`)
    return path
  }
}

/** Straight from the left edge to the right. */
const band = (top: number, thick: number): string => `M0 ${top}H${width}v${thick}H0z`

/** From the left edge, then in a bend down to the ground, in the column that begins at `x` and is `step` wide. */
function branch(x: number, step: number, top: number, thick: number): string {
  const across = Math.min(step * 0.6, Math.max(2, thick * 1.2))
  const left = x + step * 0.1
  const [right, bottom] = [left + across, top + thick]
  // Quarters of ellipses, the outer one around the inner one.
  const outer = `H${left - bend}A${across + bend} ${thick + bend} 0 0 1 ${right} ${bottom + bend}`
  return `M0 ${top}${outer}V${height}H${left}V${bottom + bend}A${bend} ${bend} 0 0 0 ${left - bend} ${bottom}H0z`
}
