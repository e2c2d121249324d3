/**
 * The number that is part of every answer's name. Raising it forgets all answers of the fleet at once; what was
 * stored under the old number is never read again and runs out.
 */
export interface Generation {
  /** Undefined until it is known. */
  readonly current: string | undefined
  /** @throws RedisUnavailable while it is not known */
  require(): string
  /** Forgets everything, everywhere. @throws RedisUnavailable: then only this replica has forgotten. */
  purge(): Promise<void>
  onPurge(listener: () => void): void
}

/** A replica on its own: a purge concerns only its memory. */
export function ownGeneration(): Generation {
  const listeners: (() => void)[] = []
  return {
    current: '0',
    require: () => '0',
    purge: async () => {
      for (const listener of listeners) listener()
    },
    onPurge: (listener) => void listeners.push(listener),
  }
}
