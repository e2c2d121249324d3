import { setTimeout as sleep } from 'node:timers/promises'

interface LoadReport {
  readonly requests: number
  /** Of the answers that were none or no 200: their status or error. */
  readonly failures: readonly string[]
}

export interface SteadyLoad {
  readonly requests: number
  stop(): Promise<LoadReport>
}

interface SteadyLoadOptions {
  readonly clients: number
  /** Between two requests of a client. */
  readonly pauseMs: number
  /** Of the request with this number, counted from 0. */
  readonly urlOf: (number: number) => string
}

/** Clients that GET one URL after the other over kept connections, until they are stopped. */
export function startSteadyLoad({ clients, pauseMs, urlOf }: SteadyLoadOptions): SteadyLoad {
  const failures: string[] = []
  let requests = 0
  const over = new AbortController()
  const client = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const failure = await failureOf(urlOf(requests++))
      if (failure !== undefined) failures.push(failure)
      await sleep(pauseMs)
    }
  }
  const running = Array.from({ length: clients }, client)
  return {
    get requests() {
      return requests
    },
    stop: async () => {
      over.abort()
      await Promise.all(running)
      return { requests, failures }
    },
  }
}

async function failureOf(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url)
    const body = await response.text()
    return response.status === 200 ? undefined : `${response.status} ${body}`
  } catch (error) {
    return error instanceof Error ? `${error.message} (${String(error.cause)})` : String(error)
  }
}
