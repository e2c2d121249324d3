import { parseAddress } from './address.ts'
import { type Answer, json, redirect, refusals } from './answer.ts'
import { readList } from './batch.ts'
import { hash, type Subject, subjectOf } from './subject.ts'

export type Tool = 'summarize-ips' | 'map' | 'summarize'

/**
 * `POST /tools/summarize-ips`, `/tools/map`, `/map?cli=1`: where the report is. `/summarize?cli=1`: the counts. Without
 * `cli=1`, `/map` and `/summarize` lead to the report's page, as they do for the form of the website.
 * @param path as asked, without slashes around it
 */
export function answerTool(path: string, query: URLSearchParams, body: string): Answer {
  const tool: Tool = toolPaths.get(path) ?? 'map'
  const texts = readToolList(body)
  const addresses = texts.flatMap((text) => parseAddress(text) ?? [])
  if (addresses.length === 0) return refusals.noIpsFound
  const isWebsites = (path === 'map' || path === 'summarize') && query.get('cli') !== '1'
  if (isWebsites) return redirect(`https://ipinfo.io/tools/${tool}/${reportId(texts)}`)
  const known = addresses.filter(({ isBogon }) => !isBogon)
  if (tool === 'summarize') {
    return json({
      total: texts.length,
      unique: new Set(addresses.map(({ text }) => text)).size,
      bogon: addresses.length - known.length,
      ...counts(known.map(subjectOf)),
    })
  }
  return json({ status: 'Report Generated', reportUrl: `https://ipinfo.io/tools/${tool}/${reportId(texts)}` })
}

export const toolPaths: ReadonlyMap<string, Tool> = new Map([
  ['tools/summarize-ips', 'summarize-ips'],
  ['tools/summarize', 'summarize'],
  ['tools/map', 'map'],
  ['summarize', 'summarize'],
  ['map', 'map'],
])

/** A list like a batch's, or Ruby's `{"ips": [...]}`. */
function readToolList(body: string): readonly string[] {
  if (!body.trimStart().startsWith('{')) return readList(body) ?? []
  try {
    const value: unknown = JSON.parse(body)
    const ips = typeof value === 'object' && value !== null && 'ips' in value ? value.ips : undefined
    return Array.isArray(ips) ? ips.filter((ip) => typeof ip === 'string') : []
  } catch {
    return []
  }
}

function counts(subjects: readonly Subject[]): object {
  return {
    countries: tally(subjects, ({ place }) => place.countryCode),
    cities: tally(subjects, ({ place }) => `${place.city}, ${place.region}, ${place.countryCode}`),
    asns: tally(subjects, ({ operator }) => `AS${operator.asn} ${operator.name}`),
    carriers: tally(subjects, ({ carrier }) => carrier?.name),
    ipTypes: tally(subjects, ({ operator }) => operator.type),
    anycast: subjects.filter(({ isAnycast }) => isAnycast).length,
    privacy: { vpn: subjects.filter(({ service }) => service !== undefined).length },
  }
}

function tally(subjects: readonly Subject[], label: (subject: Subject) => string | undefined): Record<string, number> {
  const sums = new Map<string, number>()
  for (const subject of subjects) {
    const name = label(subject)
    if (name !== undefined) sums.set(name, (sums.get(name) ?? 0) + 1)
  }
  return Object.fromEntries(sums)
}

/** Shaped like a UUID; the same list has the same report. */
function reportId(texts: readonly string[]): string {
  const hex = ['a', 'b', 'c', 'd']
    .map((salt) =>
      hash(salt + texts.join())
        .toString(16)
        .padStart(8, '0'),
    )
    .join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
