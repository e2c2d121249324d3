import { readFileSync } from 'node:fs'
import type { WorldShapes } from './world-shapes.ts'
import { markup, type Markup } from './markup.ts'

/** Shades of a map, from few addresses to most. */
export const shades = 5

const names = new Intl.DisplayNames('en', { type: 'region', fallback: 'code' })
let world: WorldShapes | undefined

/**
 * The countries of the world, shaded by how many addresses each has, on a logarithmic scale.
 * @param countries how many addresses, by ISO 3166-1 alpha-2 code; others are not on the map
 */
export function worldMap(countries: ReadonlyMap<string, number>): Markup {
  const { width, height, countries: shapes } = (world ??= readShapes())
  const most = Math.max(1, ...countries.values())
  const drawn = shapes.map(({ code, drawn: shape }) => {
    const count = (code === undefined ? undefined : countries.get(code)) ?? 0
    // A point of a country without addresses would only hide its neighbours.
    if (count === 0) return 'path' in shape ? markup`<path d="${shape.path}" />` : markup``
    const title = markup`<title>${countryName(code ?? '')}: ${count.toLocaleString('en')}</title>`
    const shade = shadeOf(count, most)
    return 'path' in shape
      ? markup`<path class="s${shade}" d="${shape.path}">${title}</path>`
      : markup`<circle class="s${shade}" cx="${shape.x}" cy="${shape.y}" r="4">${title}</circle>`
  })
  return markup`<svg
    class="map"
    viewBox="0 0 ${width} ${height}"
    role="img"
    aria-label="Map of the world, shaded by addresses of each country"
  >
    ${drawn}
  </svg>`
}

const readShapes = (): WorldShapes =>
  JSON.parse(readFileSync(new URL('world-shapes.json', import.meta.url), 'utf8')) as WorldShapes

/** In English, or the code itself where it is none. */
export function countryName(code: string): string {
  return /^[A-Z]{2}$/.test(code) ? (names.of(code) ?? code) : code
}

function shadeOf(count: number, most: number): number {
  return most === 1 ? shades : 1 + Math.floor((Math.log(count) / Math.log(most)) * (shades - 1) + 1e-9)
}
