import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Redis } from 'ioredis'
import { isReplyError } from './redis-unavailable.ts'

export interface LuaCommand {
  readonly source: string
  readonly sha: string
}

/** A Lua command from its file, or from several, the last of which uses what those before define. Read once, at start. */
export function luaCommand(...files: readonly URL[]): LuaCommand {
  const source = files.map((file) => readFileSync(file, 'utf8')).join('\n')
  const sha = createHash('sha1').update(source).digest('hex')
  names.set(sha, basename(files.at(-1)?.pathname ?? '', '.lua'))
  return { source, sha }
}

const names = new Map<string, string>()

/** The name of its file. */
export function nameOfLua(sha: string): string | undefined {
  return names.get(sha)
}

export type LuaArgument = string | number | Buffer

/** How a reply's strings come: as text, or as the bytes they are. */
export type ReplyForm = 'text' | 'bytes'

/** Runs a command by its hash; sends the source only when the server does not know it (first use, restart). */
export function callLua(
  client: Redis,
  form: ReplyForm,
  command: LuaCommand,
  keys: readonly string[],
  args: readonly LuaArgument[],
): Promise<unknown> {
  const send = (name: 'EVALSHA' | 'EVAL', script: string): Promise<unknown> =>
    form === 'text'
      ? client.call(name, script, keys.length, ...keys, ...args)
      : client.callBuffer(name, script, keys.length, ...keys, ...args)
  return send('EVALSHA', command.sha).catch((error: unknown) => {
    if (!isReplyError(error) || !error.message.startsWith('NOSCRIPT')) throw error
    return send('EVAL', command.source)
  })
}
