import { types } from 'node:util'
import { Socket } from 'node:net'
import { connect, type ConnectionOptions } from 'node:tls'
import { AbstractConnector, Redis, type RedisOptions, SentinelConnector } from 'ioredis'

/*
 * ioredis 6.0.0 hears one error of each stream. TLS may tell two of one connection, a failed handshake and the alert of the
 * server: the second would end the process.
 */
function guarded<Stream extends Socket>(stream: Stream): Stream {
  return stream.on('error', () => {})
}

/**
 * ioredis 6.0.0 never tries again where there is no stream at all, which is when the files of a certificate do not belong
 * together for a moment, or Sentinels tell of a failover while one of them is being asked. After one that has failed it does.
 */
async function streamOrFailed(connector: AbstractConnector, begin: () => Promise<Socket>): Promise<Socket> {
  try {
    return guarded(await begin())
  } catch (error) {
    if (types.isNativeError(error)) connector.firstError = error
    return new Socket().destroy()
  }
}

/** As ioredis connects to one server with TLS. */
export class TlsConnector extends AbstractConnector {
  readonly #options: RedisOptions

  constructor(options: unknown) {
    const given = options as RedisOptions
    super(given.disconnectTimeout ?? 0)
    // It is read at each connect, since it may be changed.
    this.#options = given
  }

  override connect(): Promise<Socket> {
    return streamOrFailed(this, async () => {
      const { host, port, tls } = this.#options
      this.connecting = true
      const options: ConnectionOptions = { ...(host !== undefined && { host }), ...(port !== undefined && { port }) }
      const stream = connect(Object.assign(options, tls))
      stream.once('error', (error) => (this.firstError = error))
      this.stream = stream
      return stream
    })
  }
}

type SentinelOptions = ConstructorParameters<typeof SentinelConnector>[0]

/**
 * Hears the errors of the connections by which ioredis 6.0.0 watches Sentinels (`failoverDetector`) too. It would print
 * each with its stack, again at every attempt to reach a Sentinel that is away.
 */
export class QuietSentinels extends SentinelConnector {
  constructor(options: unknown) {
    super(options as SentinelOptions)
    // Private, without another way to these connections.
    const connectToSentinel: unknown = Reflect.get(this, 'connectToSentinel')
    if (typeof connectToSentinel !== 'function') return
    Reflect.set(this, 'connectToSentinel', (address: unknown, more: object = {}): unknown => {
      const tls = this.options.sentinelTLS && { Connector: TlsConnector }
      const client: unknown = Reflect.apply(connectToSentinel, this, [address, { ...tls, ...more }])
      return client instanceof Redis ? client.on('error', () => {}) : client
    })
  }

  override connect(...given: Parameters<SentinelConnector['connect']>): Promise<Socket> {
    return streamOrFailed(this, () => super.connect(...given))
  }
}
