/**
 * The status of an error that came as the body of a 200, or as the value of a batch's item; undefined for what is no
 * error. IPinfo's forms: `{"status":429,"error":{"title":…}}`, `{"error":"ASN Not Found!"}`, `{"title":"Wrong module or
 * field type",…}`; the last two do not tell their status.
 */
export function embeddedErrorStatus(value: unknown): number | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const { status, error, title, message, ip } = value as Record<string, unknown>
  if (ip !== undefined) return undefined
  if (isErrorStatus(status) && (error !== undefined || title !== undefined || message !== undefined)) return status
  if (typeof error === 'string') return statusOfText(error)
  if (typeof error === 'object' && error !== null) {
    const inner = error as Record<string, unknown>
    return isErrorStatus(inner['code'])
      ? inner['code']
      : statusOfText(`${String(inner['title'])} ${String(inner['message'])}`)
  }
  return typeof title === 'string' && (message !== undefined || knownTitle.test(title))
    ? statusOfText(title)
    : undefined
}

const knownTitle = /^(?:wrong|invalid|bad|unknown|rate limit|forbidden|not found)/i

function isErrorStatus(status: unknown): status is number {
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status <= 599
}

function statusOfText(text: string): number {
  if (/rate limit|limit (?:exceeded|reached)|too many/i.test(text)) return 429
  if (/\b(?:token|key|permission|forbidden|access)\b/i.test(text)) return 403
  if (/not found/i.test(text)) return 404
  return 400
}
