import { RedisConnection, type Worker } from 'bullmq'

/**
 * What BullMQ (6.7.0) takes a server for when it is told not to ask INFO, which not every user may (see
 * `blockingConnection`): the oldest that this fleet works with, rather than one that cannot block for part of a second.
 */
RedisConnection.minimumVersion = '6.2.0'

const restMs = 1000
const errorsBeforeRest = 3

/**
 * BullMQ 6.7.0 asks again at once when a server refuses its commands (NOPERM, READONLY, LOADING), and keeps the process
 * from everything else when it is refused before it has asked. After some errors in a row the worker rests a second.
 */
export function restAfterErrors(worker: Worker): void {
  let errors = 0
  let timer: NodeJS.Timeout | undefined
  worker.on('error', () => {
    errors += 1
    if (errors < errorsBeforeRest || timer !== undefined) return
    void worker.pause(true)
    timer = setTimeout(() => {
      errors = 0
      timer = undefined
      if (!worker.closing) void worker.resume()
    }, restMs)
  })
  worker.on('active', () => (errors = 0))
  worker.on('drained', () => (errors = 0))
  worker.on('closing', () => clearTimeout(timer))
}
