import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { mutated } from './head-fuzz.ts'
import { get, type Lane, type LaneServer, post, startLaneServer } from './lane-server.ts'
import { type Random, randomOf } from './random.ts'

/**
 * Sends streams of requests, plain and odd, whole and damaged, cut at random, to a server with the lane and to one
 * without. Gives those that were answered in different ways, and how many requests the lane has answered.
 */
export async function fuzzStreams(
  lane: Lane,
  count: number,
  seed: number,
): Promise<{ differences: string[]; inLane: number }> {
  const random = randomOf(seed)
  const withLane = await startLaneServer({ lane })
  const without = await startLaneServer({ lane: 'none' })
  const differences: string[] = []
  try {
    for (let made = 0; made < count; made += 1) {
      const parts = streamOf(random)
      const [byLane, byHttp] = await Promise.all([saidBy(withLane, parts), saidBy(without, parts)])
      if (byLane !== byHttp) differences.push(JSON.stringify({ parts, byLane, byHttp }))
    }
  } finally {
    withLane.stop()
    without.stop()
  }
  return { differences, inLane: withLane.answeredBy.filter((by) => by === 'lane').length }
}

const units = [
  get('/hit'),
  get('/hit'),
  get('/hit').repeat(2),
  get('/hit/2', 'Connection: keep-alive'),
  get('/hit/3', 'X-Odd:  a'),
  get('/hit').replace('GET', 'HEAD'),
  get('/miss'),
  post('/post', 'body'),
  post('/post', get('/hit/in-a-body')),
  post('/empty', ''),
  `POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n`,
  `\r\n${get('/hit/4')}`,
]
const rareUnits = [get('/hit', 'Connection: close'), get('/hit').replace('1.1', '1.0'), 'nonsense\r\n\r\n', 'GET /hit']

function streamOf(random: Random): string[] {
  const parts: string[] = []
  for (let left = 1 + random.below(6); left > 0; left -= 1) {
    const unit = unitOf(random)
    // Behind what came before, by itself, or in two parts.
    const cutAt = random.below(unit.length)
    const how = random.below(4)
    if (how === 0) parts.push((parts.pop() ?? '') + unit)
    else if (how === 1 && cutAt > 0) parts.push((parts.pop() ?? '') + unit.slice(0, cutAt), unit.slice(cutAt))
    else parts.push(unit)
  }
  return parts
}

function unitOf(random: Random): string {
  const kind = random.below(20)
  if (kind === 0) return random.pick(rareUnits)
  return kind < 4 ? mutated(random).replace('8.8.8.8', 'hit') : random.pick(units)
}

/** Of turns of the event loop, in which nothing more is answered: requests here wait for nothing but ticks. */
const quietTurns = 25

/** All that a server says to a stream, each part of which is a read of its own. Without dates and ids. */
async function saidBy({ server, port }: LaneServer, parts: readonly string[]): Promise<string> {
  const accepted = once(server, 'connection')
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => undefined)
  const [connection] = (await accepted) as [Socket]
  let said = ''
  socket.on('data', (chunk) => (said += chunk.toString('latin1')))
  const answered = async (): Promise<void> => {
    let written = -1
    for (let quiet = 0; quiet < quietTurns && !isOver(socket); quiet += 1) {
      if (connection.bytesWritten !== written || said.length < written) quiet = 0
      written = connection.bytesWritten
      await nextTurn()
    }
  }
  let sent = 0
  for (const [index, part] of parts.entries()) {
    socket.write(part, 'latin1')
    sent += part.length
    while (connection.bytesRead < sent && !isOver(connection) && !isOver(socket)) await nextTurn()
    // The part behind every third comes while this one is still being answered.
    if (index % 3 !== 2 || index === parts.length - 1) await answered()
  }
  socket.destroy()
  return said.replaceAll(/(Date|X-Request-Id): .*/g, '$1')
}

/** What is sent to a connection that ends may never be read. */
function isOver(socket: Socket): boolean {
  return socket.destroyed || socket.readableEnded || socket.writableEnded
}
