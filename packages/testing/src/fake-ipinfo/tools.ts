import { parseAddress } from './address.ts'
import { type Answer, json, refusals } from './answer.ts'
import { readList } from './batch.ts'
import { hash, type Subject, subjectOf } from './subject.ts'

export type Tool = 'summarize-ips' | 'map' | 'summarize'

/** `POST /tools/summarize-ips`, `/tools/map`, `/map?cli=1`: where the report is. `/summarize?cli=1`: the counts. */
export function answerTool(tool: Tool, body: string): Answer {
  const texts = readList(body) ?? []
  const addresses = texts.flatMap((text) => parseAddress(text) ?? [])
  if (addresses.length === 0) return refusals.noIpsFound
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
