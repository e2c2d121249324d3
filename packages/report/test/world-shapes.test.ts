import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { geoCentroid, geoEqualEarth, geoPath, type GeoPermissibleObjects } from 'd3-geo'
import { iso31661NumericToAlpha2 } from 'iso-3166'
import { feature } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'
import type { CountryShape, WorldShapes } from '../src/world-shapes.ts'

const file = new URL('../src/world-shapes.json', import.meta.url)
const readShapes = (): WorldShapes => JSON.parse(readFileSync(file, 'utf8')) as WorldShapes
const [width, height, margin] = [960, 500, 1]

/** Natural Earth, by way of world-atlas: at 1:110m the shapes, without some 60 small countries; at 1:50m these too. */
function drawWorld(): WorldShapes {
  const projection = geoEqualEarth().fitExtent(
    [
      [margin, margin],
      [width - margin, height - margin],
    ],
    { type: 'Sphere' },
  )
  const path = geoPath(projection).digits(1)
  const paths = featuresOf('world-atlas/countries-110m.json').map((shape) => ({
    ...codeOf(shape),
    drawn: { path: path(shape) ?? '' },
  }))
  const known = new Set(paths.map(({ code }) => code))
  const points = featuresOf('world-atlas/countries-50m.json').flatMap((shape): CountryShape[] => {
    const { code } = codeOf(shape)
    const point = code === undefined || known.has(code) ? null : projection(geoCentroid(shape))
    return point === null ? [] : [{ ...codeOf(shape), drawn: { x: Math.round(point[0]), y: Math.round(point[1]) } }]
  })
  return { width, height, margin, countries: [...paths, ...points] }
}

type Countries = Topology<{ readonly countries: GeometryCollection<{ readonly name: string }> }>

function featuresOf(name: string) {
  const topology = JSON.parse(readFileSync(new URL(import.meta.resolve(name)), 'utf8')) as Countries
  return feature(topology, topology.objects.countries).features satisfies readonly GeoPermissibleObjects[]
}

/** Kosovo has a code in use (XK), and no number. */
function codeOf({ id, properties }: ReturnType<typeof featuresOf>[number]): { readonly code?: string } {
  const code = id === undefined ? { Kosovo: 'XK' }[properties.name] : iso31661NumericToAlpha2[String(id)]
  return code === undefined ? {} : { code }
}

/** A country each line. */
function textOf({ countries, ...rest }: WorldShapes): string {
  const lines = countries.map((country) => `    ${JSON.stringify(country)}`)
  return `${JSON.stringify(rest).slice(0, -1)},"countries":[\n${lines.join(',\n')}\n]}\n`
}

test('the map is what d3-geo draws of world-atlas (UPDATE_README=1 npm test -- world-shapes makes it)', () => {
  const drawn = drawWorld()
  if (process.env['UPDATE_README']) writeFileSync(file, textOf(drawn))
  expect(readShapes()).toEqual(drawn)
})

test.each(['SG', 'MT', 'MC', 'LI', 'BH', 'HK', 'MU', 'XK', 'FR', 'NO', 'TW'])('%s is on the map, once', (code) => {
  expect(readShapes().countries.filter((country) => country.code === code)).toHaveLength(1)
})
