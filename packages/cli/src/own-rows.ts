import type { InputReader } from './input-reader.ts'
import type { Own } from './list-rows.ts'

/** What the next so many rows of the lists have of their own. */
export type OwnOf = (count: number) => readonly (Own | undefined)[] | Promise<readonly (Own | undefined)[]>

/** Reads the lists beside their results. @param skip rows of which there are results already */
export function ownByReading(reader: InputReader, skip: number): OwnOf {
  const groups = reader.rows(skip)
  let held: (Own | undefined)[] = []
  return async (count) => {
    while (held.length < count) {
      // oxlint-disable-next-line no-await-in-loop -- one group after the other
      const next = await groups.next()
      if (next.done === true) break
      held = held.concat(next.value.map(({ own }) => own))
    }
    const taken = held.slice(0, count)
    held = held.slice(count)
    return taken
  }
}
