import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContainerRuntimeClient } from 'testcontainers'
import type { RedisInstance, RedisProvider } from './redis-provider.ts'
import { atDeathRun } from './service-process-guard.ts'
import { isPortFree } from './service-process-port.ts'

export const redisImage = 'redis:8-alpine'

/**
 * A container for each server, through the engine that testcontainers finds. Its `GenericContainer` is left
 * aside (testcontainers 12): it publishes ports on every interface, cannot pause or kill, and wants the
 * image of its reaper, for which `atDeathRun` stands in here.
 */
export const dockerRedisProvider: RedisProvider = {
  description: `containers of ${redisImage}`,
  start: startContainer,
}

type RedisContainer = Awaited<ReturnType<ContainerRuntimeClient['container']['create']>>

async function startContainer(port: number, args: readonly string[]): Promise<RedisInstance | 'port_taken'> {
  const container = await createContainer(port, args)
  const disarm = atDeathRun(`docker rm --force --volumes ${container.id}`)
  const remove = async (): Promise<void> => {
    await container.remove({ force: true, v: true })
    disarm()
  }
  try {
    await container.start()
    await waitForPong(port)
  } catch (error) {
    await remove()
    if (await isPortFree(port)) throw error
    return 'port_taken'
  }
  return instanceOf(container, port, remove)
}

async function createContainer(port: number, args: readonly string[]): Promise<RedisContainer> {
  // Imported here: it loads for half a second, and only those who use containers should wait for it.
  const { getContainerRuntimeClient } = await import('testcontainers')
  const { container } = await getContainerRuntimeClient()
  const fixed = ['--save', '', '--appendonly', 'no', '--protected-mode', 'no']
  return container.create({
    Image: redisImage,
    Cmd: ['redis-server', ...fixed, ...args],
    Labels: { 'ipfleet.test-redis': String(process.pid) },
    ExposedPorts: { '6379/tcp': {} },
    HostConfig: { PortBindings: { '6379/tcp': [{ HostIp: '127.0.0.1', HostPort: String(port) }] } },
  })
}

function instanceOf(container: RedisContainer, port: number, remove: () => Promise<void>): RedisInstance {
  let paused = false
  let removed = false
  const pause = async (): Promise<void> => {
    if (paused) return
    await container.pause()
    paused = true
  }
  const resume = async (): Promise<void> => {
    if (!paused) return
    await container.unpause()
    paused = false
  }
  const kill = async (): Promise<void> => {
    await resume() // not every engine kills a frozen container
    const { State } = await container.inspect()
    if (!State.Running) return
    const ended = container.wait()
    await container.kill()
    await ended
  }
  return {
    pause,
    resume,
    kill,
    restart: async () => {
      await kill()
      await container.start()
      await waitForPong(port)
    },
    stop: async () => {
      if (removed) return
      removed = true
      await remove()
    },
  }
}

/** The engine accepts connections on the published port before the server in the container does. */
async function waitForPong(port: number, pingsLeft = 1_000): Promise<void> {
  if (await answersPing(port)) return undefined
  if (pingsLeft === 0) throw new Error(`the container's Redis on port ${port} does not answer`)
  await sleep(10)
  return waitForPong(port, pingsLeft - 1)
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write('PING\r\n'))
    const settle = (answered: boolean): void => {
      socket.destroy()
      resolve(answered)
    }
    socket.setTimeout(1_000, () => settle(false))
    socket.once('data', (data) => settle(data.toString().startsWith('+PONG')))
    socket.once('error', () => settle(false))
    socket.once('close', () => settle(false))
  })
}
