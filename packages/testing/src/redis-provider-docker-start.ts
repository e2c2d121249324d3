/**
 * Run as a process: starts the container of `startRedisContainer`, writes its id and exits with 0, or writes why it
 * cannot and exits with 1. A process of its own, because an engine that hangs cannot be left behind otherwise.
 */

import { within } from '@ipfleet/core/within.ts'
import { getContainerRuntimeClient, ImageName } from 'testcontainers'
import { redisImage } from './redis-provider-docker.ts'

/** A busy engine takes its time; one that is not there says so at once. */
const engineTimeoutMs = 15_000
const pullTimeoutMs = 120_000
const startTimeoutMs = 60_000

async function start(): Promise<{ readonly id: string } | { readonly obstacle: string }> {
  const client = await settled(engineTimeoutMs, getContainerRuntimeClient())
  if (client === undefined) return { obstacle: 'no Docker engine answers' }
  const image = ImageName.fromString(redisImage)
  const isThere = await settled(engineTimeoutMs, client.image.exists(image))
  if (isThere !== true) {
    const pulled = await settled(
      pullTimeoutMs,
      client.image.pull(image).then(() => true),
    )
    if (pulled !== true) return { obstacle: `the Docker engine has no image ${redisImage} and cannot get it` }
  }
  const container = await client.container.create({
    Image: redisImage,
    Entrypoint: ['tail', '-f', '/dev/null'], // lasts until it is removed
    Labels: { 'ipfleet.test-redis': String(process.ppid) },
    HostConfig: { NetworkMode: 'host', AutoRemove: true },
  })
  const started = await settled(
    startTimeoutMs,
    container.start().then(() => true),
  )
  return started === true ? { id: container.id } : { obstacle: 'the Docker engine cannot start a container' }
}

function settled<T>(timeoutMs: number, work: Promise<T>): Promise<T | undefined> {
  return within(
    timeoutMs,
    work.catch(() => undefined),
  )
}

const outcome = await start()
process.stdout.write(`${'id' in outcome ? outcome.id : outcome.obstacle}\n`)
process.exit('id' in outcome ? 0 : 1)
