import { type FieldName, fieldName, knownName } from './field-lines.ts'
import { fieldsWhere, noFieldValue, type RawFields } from './raw-fields.ts'

/**
 * What must not come after the body, because it would change how what came before is to be read, who sent it, or
 * whether it was wanted at all (RFC 9110 §6.5.1). A server that merges trailers into the fields would believe it.
 */
const notInTrailers: ReadonlySet<string> = new Set(
  (
    'age authorization cache-control content-encoding content-range content-type cookie date expect expires ' +
    'forwarded host if-match if-modified-since if-none-match if-range if-unmodified-since location max-forwards ' +
    'origin pragma proxy-authenticate proxy-authorization range retry-after set-cookie trailer vary ' +
    'via www-authenticate x-backend x-egress-ip x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto ' +
    'x-forwarded-server x-ipfleet-attempt x-proxy x-real-ip x-request-id'
  ).split(' '),
)

/** CGI and its heirs read `X_Real_IP` as `X-Real-IP`. */
export function mayBeTrailer({ lowerCase }: FieldName): boolean {
  const name = lowerCase.includes('_') ? lowerCase.replaceAll('_', '-') : lowerCase
  return fieldName(name).role === 'end-to-end' && !notInTrailers.has(name)
}

/** Without those that may not be, and those that are no fields. */
export function allowedTrailers(trailers: RawFields): RawFields {
  return fieldsWhere(trailers, (spelling, value) => {
    const name = knownName(spelling)
    return name !== undefined && mayBeTrailer(name) && !noFieldValue.test(value)
  })
}
