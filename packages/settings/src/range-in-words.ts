/** To be put after a noun: ` from 1 to 10`, ` from 1`, ` up to 10` or nothing. */
export function rangeInWords(min: number, max: number): string {
  if (min === -Infinity) return max === Infinity ? '' : ` up to ${max}`
  return max === Infinity ? ` from ${min}` : ` from ${min} to ${max}`
}
