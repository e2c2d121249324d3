/** So many distinct public addresses, the same each time; from `from` on. */
export function addresses(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, at) => {
    const number = from + at
    return `${20 + ((number >> 16) % 80)}.${(number >> 8) & 255}.${number & 255}.9`
  })
}
