/** The code of what Node or a library threw, such as `ENOENT`; undefined where it has none, or a number. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
