/** Takes out what came into a map or a set first, until it holds no more than `most`. */
export function forgetOldest<Key>(held: Map<Key, unknown> | Set<Key>, most: number): void {
  if (held.size <= most) return
  for (const key of held.keys()) {
    held.delete(key)
    if (held.size <= most) return
  }
}
