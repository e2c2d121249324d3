import { once } from 'node:events'
import { type Agent, type IncomingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { until } from '@ipfleet/testing/until.ts'

export interface AskOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Default: a connection for this request alone. */
  readonly agent?: Agent
  /** The client's own address. */
  readonly from?: string
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** One request to 127.0.0.1. Rejects when there is no answer, or not all of it. */
export async function ask(port: number, path = '/', options: AskOptions = {}): Promise<Reply> {
  const { method = 'GET', headers = {}, body, agent = false, from } = options
  const local = from === undefined ? {} : { localAddress: from }
  const req = request({ host: '127.0.0.1', port, path, method, headers, agent, ...local }).end(body)
  const [res] = await once(req, 'response')
  return { status: res.statusCode, headers: res.headers, body: await text(res) }
}

/** As many, one after the other. */
export async function askInTurn(port: number, count: number, options: AskOptions = {}): Promise<Reply[]> {
  const replies: Reply[] = []
  for (let turn = 0; turn < count; turn += 1) replies.push(await ask(port, '/', options))
  return replies
}

/**
 * As `askInTurn`, of a client that has asked nothing yet, where no request took so long that a worker may have gone on
 * without its primary (500 ms). Others count by their shares.
 */
export function askUnhindered(port: number, count: number, newClient: () => string): Promise<Reply[]> {
  return until(async () => {
    const from = newClient()
    const replies: Reply[] = []
    let longestMs = 0
    for (let turn = 0; turn < count; turn += 1) {
      const startedMs = performance.now()
      replies.push(await ask(port, '/', { from }))
      longestMs = Math.max(longestMs, performance.now() - startedMs)
    }
    return longestMs < 450 && replies
  })
}
