/** What replicas tell each other about upstream. Nothing here ever fails: what Redis cannot carry stays local. */
export interface BreakerBoard {
  open(forMs: number): Promise<void>
  close(): Promise<void>
  /** The right to send the one request of the fleet that shows whether upstream is back. Runs out after `forMs`. */
  tryProbe(forMs: number): Promise<boolean>
  /** Gives that right back: nothing was learnt. */
  endProbe(): Promise<void>
  /** Another replica has opened (for how long from now) or closed (undefined) the breaker. */
  onChange(listener: (openForMs: number | undefined) => void): void
}

/** A board for each breaker, by its name. */
export interface BreakerBoards {
  of(name: string): BreakerBoard
}

/** A replica on its own has nobody to tell. */
const aloneBoard: BreakerBoard = {
  open: async () => {},
  close: async () => {},
  tryProbe: async () => true,
  endProbe: async () => {},
  onChange: () => {},
}

export const aloneBoards: BreakerBoards = { of: () => aloneBoard }
