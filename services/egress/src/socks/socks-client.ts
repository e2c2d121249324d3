import type { Socket } from 'node:net'
import { endWith } from '@ipfleet/http-server/linger.ts'
import type { Target } from '@ipfleet/net/target.ts'
import type { GivenPair } from '../auth/proxy-credentials.ts'
import { refusal, type Refusal } from '../proxy/proxy-status.ts'
import { type Opening, OpeningFault } from '../server/opening.ts'
import {
  byPassword,
  chosenMethod,
  connectCommand,
  maxSocksBytes,
  passwordVersion,
  readGreeting,
  readPair,
  readRequest,
  replyTo,
  socksReplies,
  socksReply,
  type SocksReply,
  socksVersion,
  withoutPassword,
} from './socks5.ts'

/** The client of one SOCKS5 connection until its tunnel stands: what it says, and what it is told, in one write each. */
export class SocksClient {
  readonly #socket: Socket
  readonly #opening: Opening
  /** What it is told if it is refused now. Undefined: it is hung up on. */
  #ifRefused: ((reason: Refusal) => Buffer) | undefined

  constructor(socket: Socket, opening: Opening) {
    this.#socket = socket
    this.#opening = opening
  }

  /**
   * Agrees on how the client authenticates.
   * @returns what it authenticates with; undefined if it brings nothing
   * @throws Refusal, as do the others
   */
  async greet(asksForPassword: boolean): Promise<GivenPair | undefined> {
    const { methods } = await this.#read(readGreeting)
    const method = chosenMethod(methods, asksForPassword)
    const choice = Buffer.from([socksVersion, method])
    if (method !== withoutPassword && method !== byPassword) {
      this.#ifRefused = () => choice
      throw refusal('proxy_auth_required', 'http_request_denied', 'no password offered')
    }
    this.#socket.write(choice)
    if (method === withoutPassword) {
      this.#ifRefused = inReply
      return undefined
    }
    this.#ifRefused = () => Buffer.from([passwordVersion, 1])
    return this.#read(readPair)
  }

  /** The password was right. */
  welcome(): void {
    this.#socket.write(Buffer.from([passwordVersion, 0]))
    this.#ifRefused = inReply
  }

  async readTarget(): Promise<Target> {
    const { command, target, hasKnownType } = await this.#read(readRequest)
    if (command !== connectCommand) this.#refuseWith(socksReplies.unknownCommand, `command ${command}`)
    if (!hasKnownType) this.#refuseWith(socksReplies.unknownAddressType, 'address type')
    if (target === undefined) throw refusal('bad_request', 'http_request_error')
    return target
  }

  refuse(reason: Refusal): void {
    if (this.#socket.destroyed) return
    if (this.#ifRefused === undefined) this.#socket.destroy()
    else endWith(this.#socket, this.#ifRefused(reason))
  }

  #refuseWith(reply: SocksReply, details: string): never {
    this.#ifRefused = () => socksReply(reply)
    throw refusal('bad_request', 'http_request_error', details)
  }

  async #read<Message extends { readonly length: number }>(
    read: (held: Buffer) => Message | undefined,
  ): Promise<Message> {
    try {
      const message = await this.#opening.until(read, maxSocksBytes)
      this.#opening.take(message.length)
      return message
    } catch (error) {
      throw error instanceof OpeningFault ? refusal(refusalCodes[error.kind], 'http_request_error') : error
    }
  }
}

const refusalCodes = { left: 'client_left', late: 'request_timeout', too_large: 'bad_request' } as const

function inReply({ status }: Refusal): Buffer {
  return socksReply(replyTo(status))
}
