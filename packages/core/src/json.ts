declare global {
  // https://tc39.es/proposal-json-parse-with-source/, which TypeScript 7.0 has no types for.
  interface JSON {
    rawJSON(text: string): unknown
    isRawJSON(value: unknown): boolean
  }
}

/** An object of JSON: no array, and not null. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value of a JSON text; undefined where the text is not JSON. */
export function parseJson(text: string, reviver?: typeof exactNumber): unknown {
  try {
    return JSON.parse(text, reviver)
  } catch {
    return undefined
  }
}

/** In an object or array, a number that a double may not hold. */
const mayBeInexact = /^\s*[[{][^]*?(?:\d{16}|\d[eE]\+?\d{3})/

/** As `parseJson`. Written as JSON again, numbers that a double does not hold have the digits that they had. */
export function parseJsonExactly(text: string): unknown {
  return parseJson(text, mayBeInexact.test(text) ? exactNumber : undefined)
}

function exactNumber(_name: string, value: unknown, read?: { readonly source?: string }): unknown {
  const digits = read?.source
  return typeof value === 'number' && digits !== undefined && String(value) !== digits ? JSON.rawJSON(digits) : value
}
