import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'

/** What programs are told of. User and password are `me` and `p@ss:w`. */
export interface Place {
  readonly folder: string
  /** Of the proxy that asks for a user, with that user, percent-encoded, in it: `me:p%40ss%3Aw@127.0.0.1:port`. */
  readonly guarded: string
  readonly guardedPort: number
  /** Of the proxy that asks for none. */
  readonly openPort: number
  /** Of the same with TLS, and its certificate. */
  readonly tlsPort: number
  readonly caFile: string
  /** `http://127.0.0.1:port/` and `127.0.0.1:port`. */
  readonly url: string
  readonly authority: string
  readonly originPort: number
  /** The same origin behind TLS. */
  readonly secureUrl: string
}

export interface Call {
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** To stdin. */
  readonly input?: string
  /** Files of the working directory. */
  readonly files?: Readonly<Record<string, string>>
  /** It is judged by what reaches the origin: the program wants more of it than is there. */
  readonly mayFail?: true
}

export interface RealProgram {
  readonly name: string
  readonly program: string
  /** Prints the version; it is missing when this fails. */
  readonly version: readonly string[]
  /** How to get it. */
  readonly from: string
  /** By what it speaks to the proxy. */
  readonly ways: Readonly<Record<string, (at: Place) => Call>>
}

export const get = 'GET / HTTP/1.0\r\n\r\n'

/** For programs that read the usual variables. */
export const environment = (proxy: string) => ({ http_proxy: proxy, https_proxy: proxy, all_proxy: proxy })

/** For programs that only carry bytes. */
export const carrying = (...args: readonly string[]): Call => ({ args, input: get })

/** The first line of what tells its version, or undefined where it is missing. */
export async function versionOf({ program, version }: RealProgram): Promise<string | undefined> {
  const { failed, output } = await finished(program, { args: version }, process.cwd())
  return failed === 'ENOENT' || /ModuleNotFoundError|No module named|Can't locate/.test(output)
    ? undefined
    : (output.split('\n').find((line) => /\d/.test(line)) ?? '').trim()
}

/** Runs it to its end. Rejects if it fails and may not. @returns what it wrote */
export async function outputOf({ program }: RealProgram, call: Call, folder: TemporaryFolder): Promise<string> {
  for (const [name, content] of Object.entries(call.files ?? {})) {
    await mkdir(dirname(join(folder.path, name)), { recursive: true })
    await writeFile(join(folder.path, name), content)
  }
  const { failed, output } = await finished(program, call, folder.path)
  if (failed !== undefined && !call.mayFail) throw new Error(`${program} failed (${failed}):\n${output}`)
  return output
}

/** With nothing in its environment that names another proxy. */
function finished(program: string, { args, env, input = '' }: Call, cwd: string) {
  const { PATH, HOME } = process.env
  const { promise, resolve } = Promise.withResolvers<{ failed: string | undefined; output: string }>()
  const options = { cwd, timeout: 550_000, env: { PATH, HOME, ...env } }
  const child = execFile(program, args, options, (error, stdout, stderr) =>
    resolve({ failed: error === null ? undefined : String(error.code ?? error.signal), output: stdout + stderr }),
  )
  child.stdin?.on('error', () => {}).end(input)
  return promise
}
