/**
 * Run as a process: exits 0 if a Docker engine on this machine can start Redis containers, else 1 with the
 * reason on stdout. A process of its own, because an engine that hangs cannot be left behind otherwise.
 */

import { getContainerRuntimeClient, ImageName } from 'testcontainers'
import { redisImage } from './redis-provider-docker.ts'

const engineTimeoutMs = 1_000
const pullTimeoutMs = 120_000

async function probe(): Promise<string | undefined> {
  const client = await within(engineTimeoutMs, getContainerRuntimeClient())
  if (client === undefined) return 'no Docker engine answers'
  // Ports are published on loopback, so a remote engine's containers cannot be reached.
  if (client.info.containerRuntime.host !== 'localhost') return 'the Docker engine is on another host'
  const image = ImageName.fromString(redisImage)
  const there = await within(engineTimeoutMs, client.image.exists(image))
  if (there === true) return undefined
  const pulled = await within(
    pullTimeoutMs,
    client.image.pull(image).then(() => true),
  )
  return pulled === true ? undefined : `the Docker engine has no image ${redisImage} and cannot get it`
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T | undefined> {
  const late = new Promise<undefined>((resolve) => {
    setTimeout(resolve, timeoutMs, undefined).unref()
  })
  return Promise.race([work.catch(() => undefined), late])
}

const reason = await probe()
if (reason !== undefined) process.stdout.write(`${reason}\n`)
process.exit(reason === undefined ? 0 : 1)
