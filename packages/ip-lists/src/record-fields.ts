import { nearName } from '@ipfleet/settings/near-name.ts'

/** What IPinfo's legacy records hold on all plans, in IPinfo's order. */
export const plainFields: readonly string[] =
  'ip hostname bogon anycast city region country loc org postal timezone'.split(' ')

/** Members of records beyond those: of richer plans, of Lite, and of the products of api.ipinfo.io (its description). */
const richerFields =
  'asn company carrier privacy privacy_extended abuse domains resproxy ' +
  'as_name as_domain country_code continent continent_code geo as mobile anonymous ' +
  'is_anonymous is_anycast is_hosting is_mobile is_satellite is_bogon ' +
  'latitude longitude region_code postal_code geoname_id dma_code radius'

const known: readonly string[] = [...plainFields, ...richerFields.split(' ')]

/** Every object has these; no record means them. */
const ofEveryObject: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype))

/**
 * What is wrong with the first field that no record has; undefined when all may be there. What is inside of a member
 * (`asn.name`) depends on the plan, and is taken as it is.
 */
export function unknownFieldIn(fields: readonly string[]): string | undefined {
  const unknown = fields.find((field) => {
    const [first = '', ...inner] = field.split('.')
    return !known.includes(first) || inner.some((name) => ofEveryObject.has(name))
  })
  if (unknown === undefined) return undefined
  const [first = '', ...inner] = unknown.split('.')
  const near = nearName(first, known)
  const meant = near === undefined ? '' : `; did you mean ${[near, ...inner].join('.')}?`
  return `no record has a field ${unknown}${meant || `; fields are ${known.join(', ')}, and what is inside of them`}`
}
