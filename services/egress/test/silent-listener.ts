import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/**
 * Node takes 0 for its default; with 1, Linux completes two connections that nobody accepts and answers no third. It
 * waits for what never comes: a process that is stopped would go on if something continued it.
 */
const program = `require('node:net').createServer().listen({ port: 0, host: process.argv[1], backlog: 1 }, function () {
  process.stdout.write(String(this.address().port))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})`

/** A port of this machine that answers no attempt to connect: what a firewall makes of a target that drops. */
export class SilentListener {
  readonly port: number
  readonly #process: ChildProcess
  readonly #fillers: readonly Socket[]

  private constructor(port: number, child: ChildProcess, fillers: readonly Socket[]) {
    this.port = port
    this.#process = child
    this.#fillers = fillers
  }

  static async start(host: string): Promise<SilentListener> {
    const child = spawn(process.execPath, ['-e', program, host], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [text] = (await once(child.stdout, 'data')) as [Buffer]
    const port = Number(text.toString())
    const fillers = [connect(port, host), connect(port, host)]
    await Promise.all(fillers.map((filler) => once(filler, 'connect')))
    return new SilentListener(port, child, fillers)
  }

  async stop(): Promise<void> {
    for (const filler of this.#fillers) filler.on('error', () => {}).destroy()
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
  }
}
