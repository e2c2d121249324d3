/**
 * Removes known secrets from text by their value, wherever they stand: a field, a URL, a message, a stack.
 *
 * pino's own `redact` (pino 10.4) goes by path and misses deep fields, other spellings of a header, URLs, messages
 * and errors, so the last step before a line leaves the process looks for the secrets themselves.
 */
export interface SecretScrubber {
  /** Secrets to look for from now on. Those under 4 characters are left out: they would eat ordinary text. */
  add(secrets: readonly string[]): void
  /** The text with `[redacted]` in place of each secret, plain, JSON-escaped, URL-encoded or within base64. */
  scrub(text: string): string
}

const SHORTEST_SECRET = 4
/** Fewer characters of base64 than this would also match text that has nothing to do with the secret. */
const SHORTEST_BASE64 = 6

export function createSecretScrubber(secrets: readonly string[] = []): SecretScrubber {
  const forms = new Set<string>()
  let pattern: RegExp | undefined
  let shortest = Infinity

  function add(more: readonly string[]): void {
    for (const secret of more) {
      if (secret.length >= SHORTEST_SECRET) for (const form of formsOf(secret)) forms.add(form)
    }
    if (forms.size === 0) return
    // The longest first: one secret may begin with another, and an encoded form with the plain one.
    const longestFirst = [...forms].toSorted((a, b) => b.length - a.length)
    shortest = longestFirst.at(-1)?.length ?? Infinity
    pattern = new RegExp(longestFirst.map((form) => RegExp.escape(form)).join('|'), 'g')
  }

  function scrub(text: string): string {
    return pattern === undefined || text.length < shortest ? text : text.replace(pattern, '[redacted]')
  }

  add(secrets)
  return { add, scrub }
}

function formsOf(secret: string): string[] {
  const escaped = JSON.stringify(secret).slice(1, -1)
  // Half of a surrogate pair cannot be URL-encoded; `toWellFormed` is what a client would send for it.
  const encoded = encodeURIComponent(secret.toWellFormed())
  const lowerCase = encoded.replace(/%[0-9A-F]{2}/g, (octet) => octet.toLowerCase())
  const base64 = base64Cores(secret)
  const base64url = base64.map((core) => core.replaceAll('+', '-').replaceAll('/', '_'))
  return [secret, escaped, encoded, lowerCase, ...base64, ...base64url]
}

/**
 * The characters that a secret always turns into within a longer base64 text (such as Basic's `user:password`).
 * Three bytes make four characters, so there are three ways to lie on that grid; the characters at either end
 * that also carry a neighbour's bits are left off.
 */
function base64Cores(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [0, 1, 2].flatMap((shift) => {
    const shifted = Buffer.concat([Buffer.alloc(shift), bytes])
    const encoded = shifted.toString('base64').replaceAll('=', '')
    const core = encoded.slice([0, 2, 3][shift], shifted.length % 3 === 0 ? undefined : -1)
    return core.length >= SHORTEST_BASE64 ? [core] : []
  })
}
