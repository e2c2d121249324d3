/**
 * The status of an error that came as the body of a 200, or as the value of a batch's item; undefined for what is no
 * error. IPinfo's forms: `{"status":429,"error":{"title":…}}`, `{"error":"ASN Not Found!"}`, `{"title":"Wrong module or
 * field type",…}`; the last two do not tell their status. An error may name the address that was asked: ipapi.co's
 * `{"ip":…,"error":true,"reason":…}`, ipwho.is' `{"ip":…,"success":false,"message":…}`.
 */
export function embeddedErrorStatus(value: unknown): number | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const members = value as Record<string, unknown>
  const { status, error, title, message, ip, success } = members
  if (isErrorStatus(status) && (error !== undefined || title !== undefined || message !== undefined)) return status
  if (typeof error === 'string' && error !== '') return statusOfText(error)
  if (typeof error === 'object' && error !== null) {
    const inner = error as Record<string, unknown>
    return isErrorStatus(inner['code']) ? inner['code'] : statusOfText(textIn(inner))
  }
  if (error === true || success === false) return statusOfText(textIn(members))
  if (ip !== undefined) return undefined
  if (typeof title === 'string' && (message !== undefined || knownTitle.test(title))) return statusOfText(title)
  return saysNothingElse(members) ? statusOfText(textIn(members)) : undefined
}

/** What gateways and other APIs put into errors: `{"message":"Too many requests"}`, `{"errors":[…]}`. */
const errorMembers = new Set('success status code error errors message title detail details reason type'.split(' '))

function saysNothingElse(members: Readonly<Record<string, unknown>>): boolean {
  const names = Object.keys(members)
  return names.some((name) => /^(?:errors|message|detail)$/.test(name)) && names.every((name) => errorMembers.has(name))
}

const knownTitle = /^(?:wrong|invalid|bad|unknown|rate limit|forbidden|not found)/i

function isErrorStatus(status: unknown): status is number {
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status <= 599
}

function textIn(members: Readonly<Record<string, unknown>>): string {
  return Object.values(members).flat().join(' ')
}

function statusOfText(text: string): number {
  if (/rate[ _-]?limit|limit (?:exceeded|reached)|too many/i.test(text)) return 429
  if (/\b(?:token|key|permission|forbidden|access)\b/i.test(text)) return 403
  if (/not found/i.test(text)) return 404
  return 400
}
