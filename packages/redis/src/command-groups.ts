export interface GroupLimits<T> {
  readonly maxItems: number
  readonly maxBytes?: number
  readonly bytesOf?: (item: T) => number
}

/**
 * Which of many items go in one command of Redis. On one server that is a matter of size alone; on a Cluster it would
 * also be one bucket (see `bucketTag`) a command.
 */
export function commandGroups<T>(
  items: readonly T[],
  { maxItems, maxBytes = Infinity, bytesOf = () => 0 }: GroupLimits<T>,
): T[][] {
  const groups: T[][] = []
  let group: T[] = []
  let bytes = 0
  for (const item of items) {
    bytes += bytesOf(item)
    if (groups.length === 0 || bytes > maxBytes || group.length >= maxItems) {
      group = []
      groups.push(group)
      bytes = bytesOf(item)
    }
    group.push(item)
  }
  return groups
}
