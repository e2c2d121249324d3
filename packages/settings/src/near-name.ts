/**
 * The known name that a mistyped one probably means: at most two slips away, one for names of up to four letters; else
 * the same with its unit left out or another one.
 */
export function nearName(given: string, known: readonly string[]): string | undefined {
  const ranked = known
    // A slip changes the length by one letter at most. This is asked at each start, about the whole environment.
    .filter((name) => Math.abs(name.length - given.length) <= maxSlips)
    .map((name) => ({ name, slips: slipsBetween(given, name) }))
    .filter(({ name, slips }) => slips > 0 && slips <= (name.length <= 4 ? 1 : maxSlips))
    .toSorted((a, b) => a.slips - b.slips)
  return ranked[0]?.name ?? known.find((name) => name !== given && withoutUnit(name) === withoutUnit(given))
}

const maxSlips = 2

function withoutUnit(name: string): string {
  return name.replace(/_(ms|millis|milliseconds|s|secs?|seconds|minutes|hours|bytes|kb|mb|percent|pct)$/i, '')
}

/**
 * Letters added, left out, changed, or swapped with their neighbour (optimal string alignment distance). Two rows
 * back are kept because a swap reaches that far.
 */
function slipsBetween(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current[column] = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
        swapped ? at(beforeLast, column - 2) + 1 : Infinity,
      )
    }
    beforeLast = last
    last = current
  }
  return at(last, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity
}
