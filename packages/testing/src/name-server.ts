import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { decode, encode, type Answer } from 'dns-packet'

/** What is said of a name: its records by type, a code of RFC 1035 §4.1.1, or nothing at all. */
export type Said = Records | { readonly rcode: 'NXDOMAIN' | 'SERVFAIL' | 'REFUSED' } | 'silence'

interface Records {
  /** The name that has the addresses. */
  readonly CNAME?: string
  readonly A?: readonly string[]
  readonly AAAA?: readonly string[]
  readonly ttl?: number
  /** So many questions of a type are lost on their way before one is answered. */
  readonly loses?: { readonly A?: number; readonly AAAA?: number }
  /** Questions of this type are answered SERVFAIL. */
  readonly breaks?: 'A' | 'AAAA'
}

const codes = { NXDOMAIN: 3, SERVFAIL: 2, REFUSED: 5 } as const

/** A name server on 127.0.0.1, over UDP. Names that it was not told of do not exist. */
export class NameServer implements AsyncDisposable {
  /** The names that were asked for, with their types, as `a.test A`. */
  readonly asked: string[] = []
  readonly #socket: Socket
  readonly #names: Map<string, Said>

  static async start(names: Readonly<Record<string, Said>>): Promise<NameServer> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    return new NameServer(socket, new Map(Object.entries(names)))
  }

  private constructor(socket: Socket, names: Map<string, Said>) {
    this.#socket = socket
    this.#names = names
    socket.on('message', (bytes, { port, address }) => {
      const reply = this.#reply(bytes)
      if (reply) socket.send(reply, port, address)
    })
  }

  /** `address:port` */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`
  }

  say(name: string, said: Said): void {
    this.#names.set(name, said)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close()
    await once(this.#socket, 'close')
  }

  #reply(bytes: Buffer): Buffer | undefined {
    const { id, questions = [] } = decode(bytes)
    const [question] = questions
    if (question === undefined) return undefined
    const { name, type } = question
    const asked = `${name} ${type}`
    const before = this.asked.filter((one) => one === asked).length
    this.asked.push(asked)
    const said = this.#names.get(name.toLowerCase()) ?? { rcode: 'NXDOMAIN' }
    if (said === 'silence') return undefined
    if (before < lostOf(type, said)) return undefined
    const rcode = codeFor(type, said)
    const answers = 'rcode' in said ? [] : recordsOf(name, type, said)
    // Recursion desired and available.
    return encode({ type: 'response', id: id ?? 0, flags: 0x0180 | rcode, questions, answers })
  }
}

function lostOf(type: string, said: Exclude<Said, 'silence'>): number {
  const { A = 0, AAAA = 0 } = ('loses' in said && said.loses) || {}
  return type === 'A' ? A : AAAA
}

function codeFor(type: string, said: Exclude<Said, 'silence'>): number {
  if ('rcode' in said) return codes[said.rcode]
  return said.breaks === type ? codes.SERVFAIL : 0
}

function recordsOf(name: string, type: string, { CNAME, ttl = 60, ...addresses }: Records): Answer[] {
  if (type !== 'A' && type !== 'AAAA') return []
  const found = (addresses[type] ?? []).map((data): Answer => ({ name: CNAME ?? name, type, ttl, data }))
  return CNAME === undefined ? found : [{ name, type: 'CNAME', ttl, data: CNAME }, ...found]
}
