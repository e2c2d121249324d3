/** A file that takes for ever to read, or all memory, ends the worker and nothing else. */

import { parentPort, workerData } from 'node:worker_threads'
import { type ProbeOptions, probeFile } from './probe-file.ts'

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
parentPort?.postMessage(probeFile(workerData as ProbeOptions))
