/** Prints what an edge would start with and, once its input ends, what reading the file again gives. One line each. */

import { text } from 'node:stream/consumers'
import { edgeOptionsOrExit } from '../src/config/edge-options.ts'

const { reload, ...options } = edgeOptionsOrExit()
process.stdout.write(`${JSON.stringify(options)}\n`)
await text(process.stdin)
process.stdout.write(`${JSON.stringify(reload())}\n`)
