import { resolve } from 'node:path'
import { readText } from '@ipfleet/settings/sources.ts'
import { hashOfKey } from '../limits/client-subject.ts'
import type { Kind } from './config-key.ts'
import { listOf, textual } from './config-kinds.ts'
import { read, refused } from './given.ts'

/** What `sha256sum` says of a value stands for it. */
const hashForm = /^sha256:([\da-f]{64})$/

/** Only hashes are kept: what makes a client may be a secret. */
function hashIn(text: string): string | undefined {
  if (text === '') return undefined
  return hashForm.exec(text)?.[1]?.slice(0, hashOfKey('').length) ?? hashOfKey(text)
}

/** Values in the file itself, or better `${NAME}`. */
export const knownKeys = listOf(textual('a value that is not empty, or "sha256:" and its hash', hashIn), { min: 0 })

/** A file with a value or a hash in each line; empty lines and those that begin with # are none. */
export const knownKeysFile: Kind<readonly string[]> = {
  allowed: 'a file with a value, or "sha256:" and its hash, in each line; a relative path begins where this file is',
  read: (given, directory) => {
    if (given.kind !== 'text' || given.text === '') return refused(given, knownKeysFile.allowed)
    const content = readText(resolve(directory, given.text))
    if (content.kind !== 'text') return refused(given, knownKeysFile.allowed, content.code)
    const lines = content.text.split(/\r?\n/).map((line) => line.trim())
    return read(lines.filter((line) => !line.startsWith('#')).flatMap((line) => hashIn(line) ?? []))
  },
}
