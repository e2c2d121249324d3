import { readFileSync } from 'node:fs'
import { geoCentroid, geoEqualEarth, geoPath, type GeoPermissibleObjects } from 'd3-geo'
import { iso31661NumericToAlpha2 } from 'iso-3166'
import { feature } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'

/** A country as it is drawn: a path, or for those too small for a map of the world a point. */
export interface CountryShape {
  /** ISO 3166-1 alpha-2; undefined for a territory without one. */
  readonly code: string | undefined
  readonly drawn: { readonly path: string } | { readonly x: number; readonly y: number }
}

export const mapWidth = 960
export const mapHeight = 500

/** All that there are, those with a path first, so that points lie above them. Reads and projects 0.9 MB: keep the answer. */
export function countryShapes(): readonly CountryShape[] {
  // Natural Earth, by way of world-atlas: at 1:110m the shapes, without some 60 small countries; at 1:50m these too.
  const shapes = featuresOf(import.meta.resolve('world-atlas/countries-110m.json'))
  const projection = geoEqualEarth().fitExtent(
    [
      [1, 1],
      [mapWidth - 1, mapHeight - 1],
    ],
    { type: 'Sphere' },
  )
  const path = geoPath(projection).digits(1)
  const paths = shapes.map((shape) => ({ code: codeOf(shape), drawn: { path: path(shape) ?? '' } }))
  const known = new Set(paths.map(({ code }) => code))
  const points = featuresOf(import.meta.resolve('world-atlas/countries-50m.json')).flatMap((shape) => {
    const code = codeOf(shape)
    const point = code === undefined || known.has(code) ? null : projection(geoCentroid(shape))
    return point === null ? [] : [{ code, drawn: { x: Math.round(point[0]), y: Math.round(point[1]) } }]
  })
  return [...paths, ...points]
}

type Countries = Topology<{ readonly countries: GeometryCollection<{ readonly name: string }> }>

function featuresOf(url: string) {
  const topology = JSON.parse(readFileSync(new URL(url), 'utf8')) as Countries
  return feature(topology, topology.objects.countries).features satisfies readonly GeoPermissibleObjects[]
}

/** Kosovo has a code in use (XK), and no number. */
function codeOf({ id, properties }: ReturnType<typeof featuresOf>[number]): string | undefined {
  return id === undefined ? { Kosovo: 'XK' }[properties.name] : iso31661NumericToAlpha2[String(id)]
}
