/** Where text comes from: the environment, `.env` and other files. Nothing here knows what the text means. */

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { fileSuffix } from './setting.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** What is wrong with one setting (or with `.env` itself), in words that hold no secret. */
export interface Fault {
  readonly name: string
  readonly message: string
}

export type Raw =
  | { readonly kind: 'unset' }
  /** `origin` reads after "from": `the environment`, `.env line 3`, `the file /run/secrets/keys`. */
  | { readonly kind: 'text'; readonly text: string; readonly origin: string }
  | { readonly kind: 'fault'; readonly fault: Fault }

export interface DotEnv {
  readonly values: Environment
  readonly faults: readonly Fault[]
  /** The line, counted from 1, that sets a name. */
  lineOf(name: string): number | undefined
}

export interface Sources {
  readonly env: Environment
  readonly dotEnv: DotEnv
  readonly cwd: string
}

/** Reads `.env` in `cwd`. Without such a file nothing is set; a file that cannot be read is a fault. */
export function readDotEnv(cwd: string): DotEnv {
  const read = readText(resolve(cwd, '.env'))
  if (read.kind === 'failed') {
    const faults = read.code === 'ENOENT' ? [] : [{ name: '.env', message: `cannot be read (${read.code})` }]
    return { values: {}, faults, lineOf: () => undefined }
  }
  const text = read.text.replaceAll('\r\n', '\n')
  const lines = withoutQuotedText(text).split('\n')
  return {
    values: parseEnv(text),
    faults: lines.flatMap((line, index) => (isReadable(line) ? [] : [unreadable(index + 1)])),
    lineOf: (name) => 1 + lines.findLastIndex((line) => assignment.exec(line)?.[1] === name),
  }
}

const assignment = /^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=/
const quotedAssignment = /^([ \t]*(?:export[ \t]+)?[\w.-]+[ \t]*=[ \t]*)(["'`])[^]*?\2/gm

/** Quoted text may hold line ends; with only these left of it, what remains has one assignment or comment a line. */
function withoutQuotedText(text: string): string {
  return text.replace(quotedAssignment, (whole: string, start: string) => start + whole.replaceAll(/[^\n]/g, ''))
}

function isReadable(line: string): boolean {
  return /^\s*(#.*)?$/.test(line) || assignment.test(line)
}

/**
 * `parseEnv` (Node 26) takes a line without `=` as the beginning of the next name, so that both are lost without a
 * word. The line itself is not shown: it may be half of a secret.
 */
function unreadable(line: number): Fault {
  return { name: '.env', message: `line ${line} is not of the form NAME=value` }
}

/** The environment with what `.env` sets where it has nothing, or only an empty value. */
export function environmentOf({ env, dotEnv }: Sources): Environment {
  const given = Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== '')
  return { ...dotEnv.values, ...Object.fromEntries(given) }
}

/** The text of a setting: the environment's, else that of `.env`. Empty counts as not set. */
export function rawValue(name: string, sources: Sources): Raw {
  const fromEnvironment = sources.env[name]?.trim() ?? ''
  if (fromEnvironment !== '') return { kind: 'text', text: fromEnvironment, origin: 'the environment' }
  const fromDotEnv = sources.dotEnv.values[name]?.trim() ?? ''
  if (fromDotEnv !== '') return { kind: 'text', text: fromDotEnv, origin: `.env line ${sources.dotEnv.lineOf(name)}` }
  return { kind: 'unset' }
}

/** The text of a setting, or that of the file which `<NAME>_FILE` names. */
export function rawValueOrFile(name: string, sources: Sources): Raw {
  const own = rawValue(name, sources)
  const fileName = `${name}${fileSuffix}`
  const file = rawValue(fileName, sources)
  if (file.kind !== 'text') return own
  if (own.kind === 'text') {
    const message = `is set (${own.origin}) and so is ${fileName} (${file.origin}); keep one of them`
    return { kind: 'fault', fault: { name, message } }
  }
  const where = `the file ${file.text}`
  const read = readText(resolve(sources.cwd, file.text))
  if (read.kind === 'failed') {
    const message = `${where}, named by ${file.origin}, cannot be read (${read.code})`
    return { kind: 'fault', fault: { name: fileName, message } }
  }
  const text = read.text.trim()
  if (text === '') return { kind: 'fault', fault: { name: fileName, message: `${where} is empty` } }
  return { kind: 'text', text, origin: where }
}

type Read = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'failed'; readonly code: string }

/** A file's text, or the code of the reason why there is none (`ENOENT`). */
export function readText(file: string): Read {
  try {
    // Windows editors put a byte order mark in front, which would become part of the first name or key.
    return { kind: 'text', text: readFileSync(file, 'utf8').replace(/^\uFEFF/, '') }
  } catch (error) {
    return { kind: 'failed', code: errorCode(error) ?? 'unknown' }
  }
}
