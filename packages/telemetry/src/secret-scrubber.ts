const SHORTEST_SECRET = 4
/** Fewer characters of base64 than this would also match text that has nothing to do with the secret. */
const SHORTEST_BASE64 = 6

/**
 * Removes known secrets from text by their value, wherever they stand: a field, a URL, a message, a stack.
 *
 * pino's own `redact` (pino 10.4) goes by path and misses deep fields, other spellings of a header, URLs, messages
 * and errors, so the last step before a line leaves the process looks for the secrets themselves.
 */
export class SecretScrubber {
  readonly #forms = new Set<string>()
  #pattern: RegExp | undefined
  #shortest = Infinity

  constructor(secrets: readonly string[] = []) {
    this.add(secrets)
  }

  /** Secrets to look for from now on. Those under 4 characters are left out: they would eat ordinary text. */
  add(secrets: readonly string[]): void {
    for (const secret of secrets) {
      if (secret.length >= SHORTEST_SECRET) for (const form of formsOf(secret)) this.#forms.add(form)
    }
    if (this.#forms.size === 0) return
    // The longest first: one secret may begin with another, and an encoded form with the plain one.
    const longestFirst = [...this.#forms].toSorted((a, b) => b.length - a.length)
    this.#shortest = longestFirst.at(-1)?.length ?? Infinity
    this.#pattern = new RegExp(longestFirst.map((form) => RegExp.escape(form)).join('|'), 'g')
  }

  /** The text with `[redacted]` in place of each secret, plain, JSON-escaped, URL-encoded or within base64. */
  scrub(text: string): string {
    if (this.#pattern === undefined || text.length < this.#shortest) return text
    return text.replace(this.#pattern, '[redacted]')
  }
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
