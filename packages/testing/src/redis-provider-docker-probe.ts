/**
 * Run as a process: exits 0 if a Docker engine on this machine can start Redis containers, else 1 with the
 * reason on stdout. A process of its own, because an engine that hangs cannot be left behind otherwise.
 */

import { getContainerRuntimeClient, ImageName } from 'testcontainers'
import { redisImage } from './redis-provider-docker.ts'
import { within } from '@ipfleet/core/within.ts'

const engineTimeoutMs = 1_000
const pullTimeoutMs = 120_000

async function probe(): Promise<string | undefined> {
  const client = await settled(engineTimeoutMs, getContainerRuntimeClient())
  if (client === undefined) return 'no Docker engine answers'
  // Ports are published on loopback, so a remote engine's containers cannot be reached.
  if (client.info.containerRuntime.host !== 'localhost') return 'the Docker engine is on another host'
  const image = ImageName.fromString(redisImage)
  const there = await settled(engineTimeoutMs, client.image.exists(image))
  if (there === true) return undefined
  const pulled = await settled(
    pullTimeoutMs,
    client.image.pull(image).then(() => true),
  )
  return pulled === true ? undefined : `the Docker engine has no image ${redisImage} and cannot get it`
}

function settled<T>(timeoutMs: number, work: Promise<T>): Promise<T | undefined> {
  return within(
    timeoutMs,
    work.catch(() => undefined),
  )
}

const reason = await probe()
if (reason !== undefined) process.stdout.write(`${reason}\n`)
process.exit(reason === undefined ? 0 : 1)
