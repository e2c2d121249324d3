/** JSON of exactly this many bytes, and of 13 at least. */
export function originBody(bytes: number): string {
  return `${head}${'x'.repeat(fillerBytes(bytes))}${tail}`
}

/**
 * The same as nginx directives. A word of its configuration fits into 4 kB, so that a long body is put together from
 * blocks. Throws a RangeError for a body that is too long even so.
 */
export function nginxBody(bytes: number): string {
  if (bytes > maxBytes) throw new RangeError(`a body has at most ${maxBytes} bytes, not ${bytes}`)
  const filler = fillerBytes(bytes)
  const blocks = '${block}'.repeat(Math.floor(filler / blockBytes))
  const rest = 'x'.repeat(filler % blockBytes)
  return `set $block "${'x'.repeat(blockBytes)}"; return 200 '${head}${blocks}${rest}${tail}';`
}

const head = '{"filler":"'
const tail = '"}'
const blockBytes = 1000
const maxBytes = 300_000

function fillerBytes(bytes: number): number {
  return Math.max(bytes - head.length - tail.length, 0)
}
