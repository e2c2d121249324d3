import type { Socket } from 'node:net'
import { readTurns } from '../read-turns.ts'
import { type Lane, LaneConnection } from './lane-connection.ts'
import type { ReadFields, RequestHead } from './request-head.ts'

/**
 * Answers a request at once, or not at all.
 * @param connectionFields to be among the fields of the answer
 * @returns the whole answer in latin1; undefined: node:http has to answer
 */
export type LaneAnswer = (request: RequestHead, connectionFields: string) => string | undefined

/** Requests of one connection that are answered before other connections have their turn. */
const maxAtOnce = 32
/** Of requests that are left then: so far ahead is no client that waits for its answers. */
const muchLength = 16_384
/** Of answers, in one write. */
const maxWriteLength = 65_536

/** A connection whose requests are answered as they are read. It keeps no bytes: what is not answered at once is handed over. */
export class AnsweringConnection extends LaneConnection {
  readonly #answer: LaneAnswer
  /** Only fields that are expected to come again. */
  #lastFields: ReadFields | undefined

  constructor(lane: Lane, socket: Socket, answer: LaneAnswer) {
    super(lane, socket)
    this.#answer = answer
  }

  protected read(chunk: Buffer): void {
    const { lane, socket } = this
    const text = chunk.toString('latin1')
    const { all: fields } = lane.connectionFields()
    let answers = ''
    let at = 0
    for (let count = 0; at < text.length && count < maxAtOnce && answers.length < maxWriteLength; count += 1) {
      const head = lane.heads.read(text, at, this.#lastFields)
      const next = head && this.#answer({ url: head.url, headers: head.fields.headers, socket }, fields)
      if (head === undefined || next === undefined) {
        if (answers !== '') this.#write(answers)
        return this.hand(chunk.subarray(at))
      }
      if (head.fields.lines !== undefined) this.#lastFields = head.fields
      answers += next
      at = head.end
    }
    const isDrained = this.#write(answers)
    if (!isDrained || at < text.length) this.#readOnLater(chunk.subarray(at), isDrained)
  }

  /** @returns whether the client takes more */
  #write(answers: string): boolean {
    this.idle()
    return this.socket.write(answers, 'latin1')
  }

  #readOnLater(rest: Buffer, isDrained: boolean): void {
    const { socket } = this
    socket.pause()
    if (rest.length > 0) {
      this.busy()
      socket.unshift(rest)
      if (rest.length >= muchLength) readTurns.restOthers(socket)
    }
    const readOn = (): void => void socket.resume()
    if (isDrained) setImmediate(readOn)
    else socket.once('drain', readOn)
  }
}
