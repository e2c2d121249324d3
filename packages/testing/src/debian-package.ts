import { spawn } from 'node:child_process'
import { access, rm, writeFile } from 'node:fs/promises'

/** Debian asks this script whether a package may start its service; 101 is "no" (invoke-rc.d(8)). */
const policyFile = '/usr/sbin/policy-rc.d'

/**
 * Installs a package of Debian's without starting its service. Returns why it could not, or undefined when it is
 * installed.
 */
export async function installDebianPackage(name: string): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'installing the Debian package needs root'
  if (!(await exists('/usr/bin/apt-get'))) return 'there is no apt-get'
  process.stderr.write(`For tests: installing Debian's package ${name}\n`)
  // A policy that is already there is the administrator's: it stays as it is.
  const ownPolicy = !(await exists(policyFile))
  try {
    if (ownPolicy) await writeFile(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
    await apt('update', '-qq')
    await apt('install', '-y', '-qq', '--no-install-recommends', name)
    return undefined
  } catch (error) {
    return `apt-get failed: ${error instanceof Error ? error.message : String(error)}`
  } finally {
    if (ownPolicy) await rm(policyFile, { force: true })
  }
}

async function apt(...args: readonly string[]): Promise<void> {
  const child = spawn('/usr/bin/apt-get', args, {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const written: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => written.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => written.push(chunk))
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.once('error', reject)
  child.once('close', resolve)
  if ((await promise) !== 0) throw new Error(Buffer.concat(written).toString().trim())
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}
