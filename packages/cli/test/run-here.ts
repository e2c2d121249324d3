import { PassThrough, Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import type { CommandSettings } from '../src/command-options.ts'
import { runCommand } from '../src/run-command.ts'

export interface HereOptions {
  readonly folder: string
  readonly stdin?: string | Buffer | Readable
  readonly settings?: CommandSettings
  /** Of standard output; latin1 keeps all bytes. */
  readonly encoding?: BufferEncoding
  readonly signal?: AbortSignal
}

export interface HereEnd {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The command without a process of its own. @param words from its name on */
export async function runHere(
  words: readonly string[],
  { folder, stdin = '', settings = {}, encoding = 'utf8', signal = new AbortController().signal }: HereOptions,
): Promise<HereEnd> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const said = Promise.all([buffer(stdout), text(stderr)])
  const source = stdin instanceof Readable ? stdin : Readable.from([Buffer.from(stdin)])
  const code = await runCommand(words, { settings, env: {}, folder, stdin: source, stdout, stderr, signal })
  stdout.end()
  stderr.end()
  const [bytes, err] = await said
  return { code, stdout: bytes.toString(encoding), stderr: err }
}
