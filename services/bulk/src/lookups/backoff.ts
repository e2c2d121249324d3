const firstMs = 250
const longestMs = 30_000

/**
 * Exponential, with half of it by chance so that workers do not come back together.
 * @param failures in a row, from 1
 */
export function backoffMs(failures: number): number {
  const fullMs = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 20))
  return fullMs * (0.5 + Math.random() / 2)
}
