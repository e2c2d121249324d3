import { fileOf, listOf, textual } from '@ipfleet/settings/toml-kinds.ts'
import { hashOfKey } from '../limits/client-subject.ts'

/** What `sha256sum` says of a value stands for it. */
const hashForm = /^sha256:([\da-f]{64})$/

/** Only hashes are kept: what makes a client may be a secret. */
function hashIn(text: string): string | undefined {
  if (text === '') return undefined
  return hashForm.exec(text)?.[1]?.slice(0, hashOfKey('').length) ?? hashOfKey(text)
}

/** Values in the file itself, or better `${NAME}`. */
export const knownKeys = listOf(textual('a value that is not empty, or "sha256:" and its hash', hashIn))

/** A file with a value or a hash in each line; empty lines and those that begin with # are none. */
export const knownKeysFile = fileOf('with a value, or "sha256:" and its hash, in each line', (_path, text) => {
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  return lines.filter((line) => !line.startsWith('#')).flatMap((line) => hashIn(line) ?? [])
})
