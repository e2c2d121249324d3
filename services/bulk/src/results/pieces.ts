const newline = 0x0a

/** Without so many lines at the beginning. */
export async function* withoutLines(bodies: AsyncIterable<Buffer>, lines: number): AsyncGenerator<Buffer> {
  let left = lines
  for await (const body of bodies) {
    let start = 0
    while (left > 0) {
      const end = body.indexOf(newline, start)
      if (end < 0) break
      start = end + 1
      left -= 1
    }
    if (start < body.length) yield body.subarray(start)
  }
}

/** So many bytes after leaving out some. */
export async function* cutTo(bodies: AsyncIterable<Buffer>, skip: number, bytes: number): AsyncGenerator<Buffer> {
  let start = skip
  let left = bytes
  for await (const body of bodies) {
    const piece = body.subarray(start, start + left)
    start = Math.max(0, start - body.length)
    left -= piece.length
    if (piece.length > 0) yield piece
    if (left === 0) return
  }
}
