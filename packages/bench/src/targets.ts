/** `/a.b.c.d` for that many public addresses, always the same ones for the same number `from`. */
export function manyTargets(count: number, from = 0): string[] {
  // 11.0.0.0/8 has 16 million addresses, none of them reserved.
  return Array.from({ length: count }, (_, at) => {
    const index = from + at
    return `/11.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`
  })
}

const atATime = 32

/** Asks for each target once, so that it is in the cache. Throws when an answer is not a 200. */
export async function warm(url: string, targets: readonly string[]): Promise<void> {
  const left = targets.values()
  const worker = async (): Promise<void> => {
    for (const target of left) {
      const response = await fetch(`${url}${target}`)
      await response.arrayBuffer()
      if (response.status !== 200) throw new Error(`${target} answered ${response.status}`)
    }
  }
  await Promise.all(Array.from({ length: atATime }, worker))
}
