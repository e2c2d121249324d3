import { currentSpan, errorType, type SpanAttributes } from '@ipfleet/core/span.ts'
import type { Cluster, Command, Redis } from 'ioredis'
import { nameOfLua } from './lua-command.ts'

/**
 * Has each command of a client be a step of the span in which it is sent: those of libraries too. Attributes as in
 * OpenTelemetry's semantic conventions for Redis; keys and arguments are not told.
 */
export function traced<C extends Redis | Cluster>(client: C): C {
  const send = client.sendCommand.bind(client) as SendCommand
  const sendCommand: SendCommand = (command, ...more) => {
    const name = command.name.toUpperCase()
    const span = currentSpan()?.child(name, 'client', attributesOf(name, command))
    if (span) {
      command.promise.then(
        () => span.end(),
        (error: unknown) => span.end({ 'error.type': errorType(error) }),
      )
    }
    return send(command, ...more)
  }
  return Object.assign(client, { sendCommand })
}

type SendCommand = (command: Command, ...more: unknown[]) => unknown

function attributesOf(name: string, { args }: Command): SpanAttributes {
  return {
    'db.system.name': 'redis',
    'db.operation.name': name,
    'db.stored_procedure.name': name === 'EVALSHA' ? nameOfLua(String(args[0])) : undefined,
  }
}
