export interface GroupLimits<T> {
  readonly maxItems: number
  readonly maxBytes?: number
  readonly bytesOf?: (item: T) => number
  /** On a Cluster, where a command concerns one slot: the bucket of an item (see `bucketTag`). */
  readonly bucketOf?: ((item: T) => string) | undefined
}

interface Group<T> {
  readonly items: T[]
  bytes: number
}

/** Which of many items go in one command of Redis. */
export function commandGroups<T>(items: readonly T[], limits: GroupLimits<T>): T[][] {
  const { maxItems, maxBytes = Infinity, bytesOf = () => 0, bucketOf = () => '' } = limits
  const groups: T[][] = []
  const open = new Map<string, Group<T>>()
  for (const item of items) {
    const bytes = bytesOf(item)
    const bucket = bucketOf(item)
    let group = open.get(bucket)
    if (!group || group.bytes + bytes > maxBytes || group.items.length >= maxItems) {
      group = { items: [], bytes: 0 }
      open.set(bucket, group)
      groups.push(group.items)
    }
    group.items.push(item)
    group.bytes += bytes
  }
  return groups
}
