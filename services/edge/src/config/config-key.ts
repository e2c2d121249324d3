import type { Presence } from '@ipfleet/settings/setting.ts'
import type { Given, Read } from './given.ts'

/** From a value of the file to one of the configuration. */
export interface Kind<Value> {
  /** What is allowed, in words, without a full stop. */
  readonly allowed: string
  /** `directory` is where relative paths begin. */
  read(given: Given, directory: string): Read<Value>
}

/** One key of a table: read by the reader, listed by the help and the README. */
export interface ConfigKey<Value> {
  readonly kind: Kind<Value>
  readonly presence: Presence<Value>
  /** The default as the file would say it; `''` when there is none. */
  readonly written: string
  readonly help: string
}

export type ConfigKeys = Readonly<Record<string, ConfigKey<unknown>>>

/** What the keys of a table lead to. */
export type ValuesOf<Keys extends ConfigKeys> = {
  readonly [Name in keyof Keys]: Keys[Name] extends ConfigKey<infer Value> ? Value : never
}

type Written = string | number | boolean | readonly string[]

/** A key with a default, given as the file would. Throws for one that its own kind refuses. */
export function preset<Value>(kind: Kind<Value>, written: Written, help: string): ConfigKey<Value> {
  const read = kind.read(givenOf(written), '')
  if (read.kind === 'faults') throw new TypeError(read.faults.map(({ message }) => message).join('; '))
  return { kind, presence: { kind: 'default', value: read.value }, written: inToml(written), help }
}

/** `undefined` when the file does not have it. */
export function optional<Value>(kind: Kind<Value>, help: string): ConfigKey<Value | undefined> {
  return { kind, presence: { kind: 'optional', value: undefined }, written: '', help }
}

export function required<Value>(kind: Kind<Value>, help: string): ConfigKey<Value> {
  return { kind, presence: { kind: 'required' }, written: '', help }
}

function givenOf(written: Written): Given {
  const place = { line: 0, name: 'default' }
  if (typeof written === 'number') return { ...place, kind: 'number', value: written }
  if (typeof written === 'boolean') return { ...place, kind: 'flag', value: written }
  if (typeof written === 'string') return { ...place, kind: 'text', text: written, written, isReference: false }
  return { ...place, kind: 'list', items: written.map(givenOf) }
}

function inToml(written: Written): string {
  return typeof written === 'object' ? `[${written.map(inToml).join(', ')}]` : JSON.stringify(written)
}
