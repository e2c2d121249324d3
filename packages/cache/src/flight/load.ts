export interface FlightResult<T> {
  readonly outcome: T
  /** This caller's own load brought it. */
  readonly led: boolean
  /** Our lease was lost meanwhile: another replica's outcome may be newer than ours. */
  readonly superseded?: boolean
}

/** Takes what a load has brought so far, one outcome for each subject. Resolves when it is shared and kept. */
export type Settle<T> = (outcomes: ReadonlyMap<string, T>) => Promise<void>

/** What a flight does for a caller that wants the outcomes of some subjects. */
export interface LoadCallbacks<T> {
  /** Loads those subjects that are this caller's to load, and settles every one of them, in as many steps as it likes. */
  load(subjects: readonly string[], settle: Settle<T>): Promise<void>
  /** These have an outcome, loaded here or elsewhere. Called once for each subject that is not failed. */
  landed(results: ReadonlyMap<string, FlightResult<T>>): Promise<void>
  /** Loading these broke; those among them that have landed already are not concerned. */
  failed(subjects: readonly string[], error: unknown): void
}

/** Which of some subjects were not found elsewhere. */
export type StillWanted = () => Promise<ReadonlySet<string>>

/** Loads all without asking the fleet, for a process on its own. Throws only what `stillWanted` does. */
export async function loadAlone<T>(
  subjects: readonly string[],
  callbacks: LoadCallbacks<T>,
  _deadlineMs?: number,
  stillWanted?: StillWanted,
): Promise<void> {
  const wanted = await stillWanted?.()
  const left = wanted ? subjects.filter((subject) => wanted.has(subject)) : subjects
  if (left.length === 0) return
  const unsettled = new Set(left)
  const settle: Settle<T> = async (outcomes) => {
    outcomes.forEach((_outcome, subject) => unsettled.delete(subject))
    await callbacks.landed(ledResults(outcomes))
  }
  await loadAll(left, callbacks, settle, unsettled)
}

/** @param lost those that were loaded under a lease that was lost meanwhile */
export function ledResults<T>(
  outcomes: ReadonlyMap<string, T>,
  lost?: ReadonlySet<string>,
): Map<string, FlightResult<T>> {
  const results = new Map<string, FlightResult<T>>()
  // `forEach` makes no pair of each.
  outcomes.forEach((outcome, subject) => {
    results.set(subject, lost?.has(subject) ? { outcome, led: true, superseded: true } : { outcome, led: true })
  })
  return results
}

export async function loadAll<T>(
  subjects: readonly string[],
  callbacks: LoadCallbacks<T>,
  settle: Settle<T>,
  unsettled: ReadonlySet<string>,
): Promise<void> {
  try {
    await callbacks.load(subjects, settle)
    if (unsettled.size > 0) throw new Error(`a load left ${unsettled.size} of ${subjects.length} unsettled`)
  } catch (error) {
    callbacks.failed(subjects, error)
  }
}
