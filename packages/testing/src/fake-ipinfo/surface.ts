import { parseAddress } from './address.ts'
import { type Answer, field, json, refusals } from './answer.ts'
import { geoRecord, legacyFields, legacyRecord, modules, planRecord } from './legacy-record.ts'
import type { Plan } from './plans.ts'
import { isProduct, type Product, products } from './products.ts'
import { asnAnswer, domainsAnswer, placesAnswer, rangesAnswer, whoisAnswer } from './registries.ts'
import { type Subject, subjectOf } from './subject.ts'

/** Who asks: it decides about `/`, `/json` and `me`, and how much a record holds. */
export interface Asker {
  readonly address: string
  readonly plan: Plan | undefined
  /** Without a token, full records carry `readme`. */
  readonly isKeyless: boolean
}

/**
 * The answer to `GET /segment/segment…` of both hosts; `/me` and the POST paths are not among them.
 * Also answers a batch's items, which are such paths without the leading slash.
 */
export function answerPath(segments: readonly string[], query: URLSearchParams, asker: Asker): Answer {
  const [first, second, third] = segments
  if (first === undefined || first === 'json' || first === 'geo') return legacyAnswer(asker.address, first, asker)
  if (isProduct(first)) return productAnswer(first, segments.slice(1), asker)
  if (first === 'resproxy' && second !== undefined) return ofAddress(second, refusals.productWrongIp, residentialProxy)
  if (first === 'domains' && second !== undefined) {
    return ofAddress(second, refusals.wrongIp, (subject) => domainsAnswer(subject, query))
  }
  if (first === 'places') return ofAddress(second ?? asker.address, refusals.wrongIp, placesAnswer)
  if (first === 'ranges' && second !== undefined) return rangesAnswer(second)
  if (first === 'whois') return whoisAnswer(second, third)
  if (/^as\d{1,10}$/i.test(first) && (second === undefined || second === 'json'))
    return asnAnswer(Number(first.slice(2)))
  if (isFieldOrModule(first)) return second === undefined ? legacyAnswer(asker.address, first, asker) : refusals.wrongIp
  return third === undefined ? legacyAnswer(first, second, asker) : refusals.wrongField
}

/** The product that a token must have for this path: what a key may be said to lack. */
export function productOf([first, second]: readonly string[]): string {
  if (first === undefined) return 'geo'
  if (isProduct(first) || isModule(first) || ['ranges', 'whois', 'places'].includes(first)) return first
  if (/^as\d/i.test(first)) return 'asn'
  return isModule(second) ? second : 'geo'
}

function legacyAnswer(ip: string, part: string | undefined, asker: Asker): Answer {
  const address = parseAddress(ip)
  if (address === undefined) return refusals.wrongIp
  const isWhole = part === undefined || part === 'json' || part === 'geo'
  if (!isWhole && !isFieldOrModule(part)) return refusals.wrongField
  if (address.isBogon) {
    if (isWhole || isModule(part)) return json({ ip: address.text, bogon: true })
    return field(part === 'ip' ? address.text : undefined)
  }
  const subject = subjectOf(address)
  if (part === 'geo') return json(geoRecord(subject))
  if (isWhole) {
    const record = planRecord(subject, asker.plan)
    return json(asker.isKeyless ? { ...record, readme: 'https://ipinfo.io/missingauth' } : record)
  }
  if (isModule(part)) return json(modules[part](subject))
  return field(legacyRecord(subject)[part])
}

function productAnswer(product: Product, [ip, ...path]: readonly string[], asker: Asker): Answer {
  const address = parseAddress(ip === undefined || ip === 'me' ? asker.address : ip)
  if (address === undefined) return refusals.productWrongIp
  const record: unknown = address.isBogon
    ? { ip: address.text, bogon: true }
    : recordOf(product, subjectOf(address), asker.plan)
  if (path.length === 0) return json(record)
  let value = record
  for (const name of path) {
    if (typeof value !== 'object' || value === null) return refusals.productWrongField
    value = new Map<string, unknown>(Object.entries(value)).get(name)
  }
  // What another address' record may hold, this one may lack: an empty line, not an error.
  return value === undefined && !knownProductFields.has(path.at(-1) ?? '') ? refusals.productWrongField : field(value)
}

/** `/lookup` answers Core and, for a richer plan, all that Plus and Max hold: the path is the same. */
function recordOf(product: Product, subject: Subject, plan: Plan | undefined): object {
  return products[product === 'lookup' && (plan === 'plus' || plan === 'max') ? plan : product](subject)
}

// The fields that only some records have, apart from those that a bogon lacks.
const knownProductFields = new Set(
  (
    'hostname postal_code dma_code name mcc mnc last_seen percent_days_seen ' +
    'asn as_name as_domain country_code country continent_code continent geo as'
  ).split(' '),
)

function residentialProxy(subject: Subject): Answer {
  return json(modules.resproxy(subject))
}

function ofAddress(ip: string, otherwise: Answer, answer: (subject: Subject) => Answer): Answer {
  const address = parseAddress(ip)
  if (address === undefined) return otherwise
  return address.isBogon ? json({ ip: address.text, bogon: true }) : answer(subjectOf(address))
}

type Field = (typeof legacyFields)[number]
type Module = keyof typeof modules

function isModule(name: string | undefined): name is Module {
  return name !== undefined && Object.hasOwn(modules, name)
}

function isFieldOrModule(name: string): name is Field | Module {
  return (legacyFields as readonly string[]).includes(name) || isModule(name)
}
