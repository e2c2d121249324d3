import { geoEqualEarth, geoPath, type GeoPermissibleObjects } from 'd3-geo'
import { iso31661NumericToAlpha2 } from 'iso-3166'
import { feature } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'
import { ask } from './ask.ts'
import { countryName, count } from './format.ts'
import { setAttributes, svgElement } from './element.ts'

type World = Topology<{ readonly countries: GeometryCollection<{ readonly name: string }> }>

export const mapWidth = 720
export const mapHeight = 350

const projection = geoEqualEarth().fitExtent(
  [
    [4, 4],
    [mapWidth - 4, mapHeight - 4],
  ],
  { type: 'Sphere' },
)
const pathOf = geoPath(projection).digits(1)

interface Country {
  readonly code: string | undefined
  readonly path: string
}

let countries: Promise<readonly Country[]> | undefined

/** The countries of the world as paths, by their ISO 3166-1 alpha-2 codes. They are read and drawn once. */
async function readCountries(): Promise<readonly Country[]> {
  const world = await ask<World>('GET', '/console/lib/world-atlas/countries-110m.json')
  const { features } = feature(world, world.objects.countries)
  return features.map((country) => {
    // It has a user-assigned code, and no numeric one.
    const isKosovo = country.properties.name === 'Kosovo'
    return { code: isKosovo ? 'XK' : iso31661NumericToAlpha2[String(country.id)], path: pathOf(country) ?? '' }
  })
}

/** The world without anything on it; `label` says what it will show. */
export async function worldMap(label: string): Promise<SVGSVGElement> {
  countries ??= readCountries()
  countries.catch(() => (countries = undefined))
  const sphere: GeoPermissibleObjects = { type: 'Sphere' }
  const lands = (await countries).map(({ code, path }) =>
    svgElement('path', { d: path, class: 'land', 'data-country': code }),
  )
  return svgElement(
    'svg',
    { viewBox: `0 0 ${mapWidth} ${mapHeight}`, class: 'map', role: 'img', 'aria-label': label },
    svgElement('path', { d: pathOf(sphere) ?? '', class: 'sea' }),
    ...lands,
  )
}

/** Puts a mark at a place. @param loc `37.4056,-122.0775`, as a record has it; what is none is no mark */
export function markPlace(map: SVGSVGElement, loc: string, name: string): boolean {
  const [latitude = Number.NaN, longitude = Number.NaN] = loc.split(',').map(Number)
  const point = Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? projection([longitude, latitude]) : null
  if (point === null) return false
  const [x, y] = point
  const isRight = x > mapWidth * 0.7
  map.append(
    svgElement('circle', { cx: x, cy: y, r: 13, class: 'halo' }),
    svgElement('circle', { cx: x, cy: y, r: 5, class: 'place' }),
    svgElement(
      'text',
      { x: x + (isRight ? -18 : 18), y: y + 5, 'text-anchor': isRight ? 'end' : 'start', class: 'place-name' },
      name,
    ),
  )
  return true
}

export function markCountry(map: SVGSVGElement, code: string): void {
  map.querySelector(`[data-country="${CSS.escape(code)}"]`)?.classList.add('here')
}

/** Colours countries in five steps by how many addresses they have. */
export function shadeCountries(map: SVGSVGElement, counts: Readonly<Record<string, number>>): void {
  const most = Math.max(1, ...Object.values(counts))
  for (const land of map.querySelectorAll<SVGPathElement>('[data-country]')) {
    const code = land.dataset['country'] ?? ''
    const value = counts[code] ?? 0
    // The roots of shares: a country with a hundredth of the most is still seen.
    const shade = value === 0 ? undefined : Math.max(1, Math.ceil(Math.cbrt(value / most) * 5))
    setAttributes(land, { 'data-shade': shade })
    land.replaceChildren(...(value === 0 ? [] : [svgElement('title', {}, `${countryName(code)}: ${count(value)}`)]))
  }
}
