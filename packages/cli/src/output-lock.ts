import { createHash } from 'node:crypto'
import { readlink, realpath, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { basename, dirname, join, resolve } from 'node:path'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { usageFault } from './command-fault.ts'

/**
 * Keeps other runs on this machine from writing the same file. The lock is a listening socket in Linux's abstract
 * namespace, which needs no file and is gone with its process, however that ends. Where there are none, nothing is locked,
 * nor are pipes and devices.
 * @param output as it was given, for the message
 * @throws CommandFault with exit code 2 where another run has the lock
 */
export async function lockOutput(path: string, output: string): Promise<AsyncDisposable | undefined> {
  const kind = await stat(path).then((there) => (there.isFile() ? 'file' : 'other'), errorCode)
  if (kind !== 'file' && kind !== 'ENOENT') return undefined
  const name = createHash('sha256')
    .update(await realPathOf(path))
    .digest('hex')
  const server = createServer((socket) => socket.destroy()).unref()
  const { promise, resolve: ended } = Promise.withResolvers<unknown>()
  server.once('error', ended)
  server.listen(`\0ipfleet-output-${name}`, () => ended(undefined))
  if (errorCode(await promise) === 'EADDRINUSE') {
    throw usageFault(`${output} is being written by another run; wait for its end, or name another output`)
  }
  return server
}

/** Through links, also to what is not there yet. */
async function realPathOf(path: string): Promise<string> {
  const link = await readlink(path).catch(() => undefined)
  if (link !== undefined) return realPathOf(resolve(dirname(path), link))
  return join(await realpath(dirname(path)).catch(() => dirname(path)), basename(path))
}
