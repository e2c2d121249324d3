import { execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { until } from '@ipfleet/testing/until.ts'

const run = promisify(execFile)

/** A program that runs in a namespace. */
interface NamespacedProgram {
  /** Resolves when it says this, after what was waited for before. Throws after a while, with all that it said. */
  line(expected: string | RegExp): Promise<void>
}

/** A network of the test's own: interfaces and addresses in it are nobody else's. */
export interface NetworkNamespace {
  /** `ip` (iproute2) in it. */
  ip(...args: readonly string[]): Promise<void>
  run(program: URL, ...args: readonly string[]): Promise<NamespacedProgram>
  /** Ends its programs, too. */
  close(): Promise<void>
}

/** Why this machine makes no network namespaces; undefined where it does. */
export async function whyNoNamespaces(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'that needs root'
  try {
    const namespace = await networkNamespace()
    await namespace.close()
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no iproute2' : String(error)
  }
}

let made = 0

export async function networkNamespace(): Promise<NetworkNamespace> {
  const name = `ipfleet-test-${process.pid}-${(made += 1)}`
  const endings: (() => Promise<void>)[] = []
  await run('ip', ['netns', 'add', name])
  return {
    ip: async (...args) => void (await run('ip', ['-n', name, ...args])),
    run: async (program, ...args) => {
      const child = spawn('ip', ['netns', 'exec', name, process.execPath, fileURLToPath(program), ...args])
      const ended = new Promise<void>((resolve) => void child.once('close', () => resolve()))
      endings.push(() => {
        child.kill()
        return ended
      })
      const lines: string[] = []
      for (const stream of [child.stdout, child.stderr]) {
        createInterface(stream).on('line', (line) => void lines.push(line))
      }
      return { line: (expected) => nextLine(lines, expected) }
    },
    close: async () => {
      for (const end of endings) await end()
      await run('ip', ['netns', 'del', name])
    },
  }
}

/** Takes away the lines up to the expected one. */
async function nextLine(lines: string[], expected: string | RegExp): Promise<void> {
  const isExpected = (line: string): boolean => (typeof expected === 'string' ? line === expected : expected.test(line))
  try {
    const index = await until(() => {
      const found = lines.findIndex(isExpected)
      return found < 0 ? undefined : { found }
    })
    lines.splice(0, index.found + 1)
  } catch (cause) {
    throw new Error(`did not say ${String(expected)}, but: ${lines.slice(-20).join(' | ')}`, { cause })
  }
}
