import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { converse, type Conversation } from '@ipfleet/testing/raw-conversation.ts'
import { RecordingBackend, type SeenRequest } from '@ipfleet/testing/recording-backend.ts'
import { ask } from './ask.ts'
import { type Outcome, probe, smugglingVariants } from './smuggling-variants.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** Edge and backend never read a different number of requests out of the same bytes. */
let backend: RecordingBackend
let edge: RunningEdge
beforeAll(async () => {
  backend = await RecordingBackend.start()
  edge = await startEdge({
    backends: [backend.port],
    server: ['header', 'body'].map((what) => `${what}_timeout_seconds = 4`).join('\n'),
    tables: '[retry]\nattempts = 0',
  })
})
afterAll(async () => {
  await edge.stop()
  await backend[Symbol.asyncDispose]()
})

interface Seen {
  readonly conversation: Conversation
  readonly requests: readonly SeenRequest[]
  /** What came and was no request. */
  readonly unfinished: string
  readonly faults: readonly string[]
}

/** With an idle connection to the backend that would carry at once whatever were let by. */
async function send(bytes: string, dribble: boolean): Promise<Seen> {
  await ask(edge.port, '/fence')
  backend.forget()
  const conversation = await converse(edge.port, bytes, { dribble })
  // On its way to the backend after all that might have been let by.
  await ask(edge.port, '/fence')
  const requests = backend.requests.filter(({ target }) => target !== '/fence')
  return { conversation, requests, unfinished: backend.unfinished.join(''), faults: [...backend.faults] }
}

/** Every request that the backend has read is answered by its own answer, and nothing else is but one refusal. */
function expectOneReading({ conversation: { answers, rest, end }, requests, faults }: Seen): void {
  expect(faults).toEqual([])
  expect([rest, end]).toEqual(['', 'closed'])
  const served = answers.filter(({ status }) => status < 300)
  expect(served.map(({ status, body }) => (status === 204 ? 'HEAD' : targetIn(body)))).toEqual(
    requests.map(({ method, target }) => (method === 'HEAD' ? 'HEAD' : target)),
  )
  const refusals = answers.slice(served.length)
  expect(refusals.length).toBeLessThan(2)
  for (const { status, head, body } of refusals) {
    expect(head).toContain('content-type: application/json')
    expect(head).toContain('connection: close')
    expect(JSON.parse(body)).toMatchObject({ status })
    expect([400, 405, 408, 413, 417, 431]).toContain(status)
  }
}

function targetIn(body: string): unknown {
  return (JSON.parse(body) as SeenRequest).target
}

/** `ofUpgrade`: an upgrade that is not taken ends the connection only if more came with it. */
function requestsOf(outcome: Outcome, ofUpgrade: number): number {
  if (outcome === 'refused' || outcome === 'broken off') return 0
  return outcome === 1 ? ofUpgrade : outcome
}

test('there are more than 150 variants, each of its own', () => {
  expect(new Set(smugglingVariants.map(({ name }) => name)).size).toBe(smugglingVariants.length)
  expect(new Set(smugglingVariants.map(({ bytes }) => bytes)).size).toBeGreaterThan(150)
})

describe.each([
  ['in one packet', false],
  ['byte by byte', true],
])('sent %s, with a second request behind it', (_how, dribble) => {
  const variants = smugglingVariants.filter(({ bytes }) => !dribble || bytes.length < 1000)

  test.each(variants)('$name: $outcome', async ({ bytes, outcome }) => {
    const seen = await send(bytes + probe, dribble)
    expectOneReading(seen)
    expect(seen.requests.length).toBe(requestsOf(outcome, dribble ? seen.requests.length : 1))
    expect(outcome === 'refused' ? seen.unfinished : '').toBe('')
  })
})
