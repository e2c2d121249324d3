/** Why a file cannot be read; undefined if it can, and without one. */
export function reasonNot(file: string | undefined, read: (file: string) => unknown): string | undefined {
  if (file === undefined) return undefined
  try {
    read(file)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
