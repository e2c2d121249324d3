/** A redis-server under a test's control. Every method resolves when its effect has taken place. */
export interface RedisInstance {
  /** Hangs the server: connections stay open, nothing is answered. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** Ends it at once, as SIGKILL does: sockets are reset, nothing is saved, the port is free. */
  kill(): Promise<void>
  /** Starts it again on the same port (killing it first if it runs): empty, unless it keeps an append-only file. */
  restart(): Promise<void>
  /** Ends it and removes what it left. May be called again, and in any state. */
  stop(): Promise<void>
}

export interface RedisProvider {
  /** As printed: where the servers come from. */
  readonly description: string
  /** Starts a server on a loopback port. `port_taken` if something else listens there. */
  start(port: number, args: readonly string[]): Promise<RedisInstance | 'port_taken'>
}
