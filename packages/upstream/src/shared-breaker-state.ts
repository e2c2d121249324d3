/** What replicas tell each other of one breaker. Nothing here ever fails: what Redis cannot carry stays local. */
export interface SharedBreakerState {
  open(forMs: number): Promise<void>
  close(): Promise<void>
  /** The right to send the one request of the fleet that shows whether upstream is back. It ends after `forMs`. */
  tryProbe(forMs: number): Promise<boolean>
  /** Gives that right back: nothing was learnt. */
  endProbe(): Promise<void>
  /** Another replica has opened (for how long from now) or closed (undefined) the breaker. */
  onChange(listener: (openForMs: number | undefined) => void): void
}

/** One for each breaker, by its name. */
export interface SharedBreakerStates {
  of(name: string): SharedBreakerState
}

/** Of a replica that is alone. */
export const localBreakerStates: SharedBreakerStates = {
  of: () => ({
    open: async () => {},
    close: async () => {},
    tryProbe: async () => true,
    endProbe: async () => {},
    onChange: () => {},
  }),
}
