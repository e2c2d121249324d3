import { geoEqualEarth, geoPath, type GeoPermissibleObjects } from 'd3-geo'
import type { WorldShapes } from '@ipfleet/report/world-shapes.ts'
import { ask } from './ask.ts'
import { countryName, count } from './format.ts'
import { setAttributes, svgElement } from './element.ts'

const sphere: GeoPermissibleObjects = { type: 'Sphere' }
const pointRadius = 5

let read: Promise<WorldShapes> | undefined

/** They are read once. */
function readShapes(): Promise<WorldShapes> {
  read ??= ask<WorldShapes>('GET', '/console/world-shapes.json')
  read.catch(() => (read = undefined))
  return read
}

/** Of these shapes, by which a place is found among them. */
function projectionOf({ width, height, margin }: WorldShapes) {
  const corners: [[number, number], [number, number]] = [
    [margin, margin],
    [width - margin, height - margin],
  ]
  return geoEqualEarth().fitExtent(corners, sphere)
}

/** A map of the world, on which countries and places are marked. */
export class WorldMap {
  readonly view: SVGSVGElement
  readonly #shapes: WorldShapes
  readonly #projection: ReturnType<typeof projectionOf>
  readonly #lands = new Map<string, SVGElement>()

  /** The world without anything on it; `label` says what it will show. */
  static async draw(label: string): Promise<WorldMap> {
    return new WorldMap(await readShapes(), label)
  }

  private constructor(shapes: WorldShapes, label: string) {
    const { width, height, countries } = shapes
    this.#shapes = shapes
    this.#projection = projectionOf(shapes)
    const sea = svgElement('path', { d: geoPath(this.#projection).digits(1)(sphere) ?? '', class: 'sea' })
    this.view = svgElement(
      'svg',
      { viewBox: `0 0 ${width} ${height}`, class: 'map', role: 'img', 'aria-label': label },
      sea,
    )
    for (const { code, drawn } of countries) {
      const land = 'path' in drawn ? svgElement('path', { d: drawn.path }) : svgElement('circle', pointAt(drawn))
      setAttributes(land, { class: 'land' })
      if (code !== undefined) this.#lands.set(code, land)
      // A point that stands for nothing would only hide its neighbours.
      if ('path' in drawn) this.view.append(land)
    }
  }

  /** Puts a mark at a place. @param loc `37.4056,-122.0775`, as a record has it; what is none is no mark */
  markPlace(loc: string, name: string): void {
    const [latitude = Number.NaN, longitude = Number.NaN] = loc.split(',').map(Number)
    const isPlace = Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180
    const point = isPlace ? this.#projection([longitude, latitude]) : null
    if (point === null) return
    const [x, y] = point
    const isRight = x > this.#shapes.width * 0.7
    const at = { x: x + (isRight ? -23 : 23), y: y + 7, 'text-anchor': isRight ? 'end' : 'start' }
    this.view.append(
      svgElement('circle', { cx: x, cy: y, r: 17, class: 'halo' }),
      svgElement('circle', { cx: x, cy: y, r: 7, class: 'place' }),
      svgElement('text', { ...at, class: 'place-name' }, name),
    )
  }

  markCountry(code: string): void {
    this.#land(code)?.classList.add('here')
  }

  /** Colours countries in five steps by how many addresses they have. */
  shade(counts: Readonly<Record<string, number>>): void {
    const most = Math.max(1, ...Object.values(counts))
    for (const [code, value] of Object.entries(counts)) {
      const land = value > 0 ? this.#land(code) : undefined
      if (land === undefined) continue
      // The roots of shares: a country with a hundredth of the most is still seen.
      setAttributes(land, { 'data-shade': Math.max(1, Math.ceil(Math.cbrt(value / most) * 5)) })
      land.append(svgElement('title', {}, `${countryName(code)}: ${count(value)}`))
    }
  }

  #land(code: string): SVGElement | undefined {
    const land = this.#lands.get(code)
    if (land?.parentNode === null) this.view.append(land)
    return land
  }
}

const pointAt = ({ x, y }: { readonly x: number; readonly y: number }) => ({ cx: x, cy: y, r: pointRadius })
