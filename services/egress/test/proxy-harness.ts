import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { acceptance } from '@ipfleet/testing/websocket-server.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'

/** Both ends of what the proxy stands between. */
export interface Ends {
  readonly client: Wire
  readonly server: Wire
}

/** A proxy between clients and an origin that are driven by hand, byte by byte: each knows what the other has. */
export class ProxyHarness implements AsyncDisposable {
  readonly egress: RunningEgress
  readonly origin: ScriptedBackend
  /** `host:port` of the origin. */
  readonly authority: string
  readonly #wires: Wire[] = []
  /** Rejects when the proxy ends: nobody must wait for what it would have done. */
  readonly #death: Promise<never>

  static async start(env: Readonly<Record<string, string>> = {}, host = '127.0.0.1'): Promise<ProxyHarness> {
    const origin = await ScriptedBackend.start(host)
    try {
      return new ProxyHarness(await startEgress({ ALLOW_TARGETS: host, ...env }), origin, host)
    } catch (error) {
      await origin[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(egress: RunningEgress, origin: ScriptedBackend, host: string) {
    this.egress = egress
    this.origin = origin
    this.#death = egress.exited.then(({ code, signal }) => {
      throw new Error(`the proxy has ended (${signal ?? `code ${code}`}):\n${egress.output()}`)
    })
    this.#death.catch(() => {})
    this.authority = host.includes(':') ? `[${host}]:${origin.port}` : `${host}:${origin.port}`
  }

  /** A URL of the origin. */
  url(path = '/'): string {
    return `http://${this.authority}${path}`
  }

  /** A client of the proxy that has sent this. */
  async client(bytes: string): Promise<Wire> {
    const client = await Promise.race([this.#death, Wire.to(this.egress.port)])
    this.#wires.push(client)
    client.write(bytes)
    return client
  }

  /** The origin's end of the next connection. */
  async accept(): Promise<Wire> {
    const server = await Promise.race([this.#death, this.origin.accept()])
    this.#wires.push(server)
    return server
  }

  /** A request whose head has reached the origin. */
  async ask(bytes: string): Promise<Ends> {
    const client = await this.client(bytes)
    const server = await this.accept()
    await server.saw('\r\n\r\n')
    return { client, server }
  }

  /** GET of this path with these fields, whose head has reached the origin. */
  get(path: string, ...fields: readonly string[]): Promise<Ends> {
    return this.ask(requestHead(`GET ${this.url(path)}`, ...fields))
  }

  /** POST with these fields, and what comes with them of the body. */
  post(fields: readonly string[], body = ''): Promise<Ends> {
    return this.ask(requestHead(`POST ${this.url()}`, ...fields) + body)
  }

  /** A tunnel that stands. */
  async tunnel(): Promise<Ends> {
    const client = await this.client(requestHead(`CONNECT ${this.authority}`, `Host: ${this.authority}`))
    await client.saw('\r\n\r\n')
    return { client, server: await this.accept() }
  }

  /** The handshake of a WebSocket that is asked for by its URL. */
  handshake(...fields: readonly string[]): string {
    const asked = ['Connection: keep-alive, Upgrade', 'Upgrade: websocket', ...webSocketFields]
    return requestHead(`GET ${this.url('/chat')}`, ...asked, ...fields)
  }

  /** A connection that has switched protocols. */
  async switched(): Promise<Ends> {
    const { client, server } = await this.ask(this.handshake())
    server.write(acceptance(server.text))
    await client.saw('\r\n\r\n')
    return { client, server }
  }

  /** Ends all connections of a test. */
  clear(): void {
    for (const wire of this.#wires.splice(0)) wire.destroy()
    this.origin.forget()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.clear()
    await this.egress.stop()
    await this.origin[Symbol.asyncDispose]()
  }
}

export const webSocketFields = ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']

/** Of HTTP/1.1, with a Host unless there is one among the fields. */
export function requestHead(methodAndTarget: string, ...fields: readonly string[]): string {
  const host = fields.some((field) => /^host:/i.test(field)) ? [] : ['Host: a']
  return [`${methodAndTarget} HTTP/1.1`, ...host, ...fields, '', ''].join('\r\n')
}

/** The head of a 200 with these fields. */
export function okHead(...fields: readonly string[]): string {
  return ['HTTP/1.1 200 OK', ...fields, '', ''].join('\r\n')
}

/** What follows the first head of what came. */
export function bodyOf({ text }: Wire): string {
  return text.slice(text.indexOf('\r\n\r\n') + 4)
}
