import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { converse, type RawAnswer } from '@ipfleet/testing/raw-conversation.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** Logins that a server takes for all that follows on a connection: NTLM, in two steps, and Negotiate, in one or two. */
const users = new WeakMap<Socket, string>()
const asked = new WeakSet<Socket>()

function logIn({ headers, socket }: IncomingMessage, res: ServerResponse): void {
  const [scheme = '', token = ''] = headers.authorization?.split(' ') ?? []
  if (token === 'hello') {
    asked.add(socket)
    res.writeHead(401, { 'WWW-Authenticate': ['Basic realm="a"', `${scheme} challenge`] }).end()
    return
  }
  if (token === 'denied' || (token !== '' && (asked.has(socket) || /^negotiate$/i.test(scheme))))
    users.set(socket, token)
  const user = token === 'denied' ? undefined : users.get(socket)
  if (user === undefined) res.writeHead(401, { 'WWW-Authenticate': 'Negotiate, NTLM' }).end()
  else res.end(user)
}

let backend: Server
let edge: RunningEdge
beforeAll(async () => {
  backend = createServer(logIn).listen(0, '127.0.0.1')
  await once(backend, 'listening')
  edge = await startEdge({ backends: [(backend.address() as AddressInfo).port] })
})
afterAll(async () => {
  await edge.stop()
  backend.closeAllConnections()
  backend.close()
})

/** What the clients of one connection are answered, one request after the other. */
async function answersTo(...credentials: (string | undefined)[]): Promise<readonly RawAnswer[]> {
  const requests = credentials.map(
    (given) => `GET / HTTP/1.1\r\nHost: a\r\n${given === undefined ? '' : `Authorization: ${given}\r\n`}\r\n`,
  )
  return (await converse(edge.port, requests.join(''), { answers: requests.length })).answers
}

test.each([
  ['NTLM in steps', [undefined, 'NTLM hello', 'NTLM anna'], [401, 401, 200]],
  ['Negotiate in steps', ['Negotiate hello', 'Negotiate anna'], [401, 200]],
  ['Negotiate at once', ['negotiate anna'], [200]],
  ['a user who is known but may not see this', ['NTLM denied'], [401]],
])('%s: the login is of no other client', async (_what, steps, statuses) => {
  const answers = await answersTo(...steps)
  expect(answers.map(({ status }) => status)).toEqual(statuses)
  const [other] = await answersTo(undefined)
  expect(other?.status).toBe(401)
})
