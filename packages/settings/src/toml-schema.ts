/** Schemas of TOML documents: zod, with the words that help texts and README tables are made of. */

import { z } from 'zod'
import type { SettingDescription } from './describe-settings.ts'
import { nearName } from './near-name.ts'
import { quoted } from './setting.ts'
import { asWritten, isTomlTable, TomlText, type TomlDocument, type TomlFault, type TomlPath } from './toml-document.ts'
import { withoutCredentials } from './url-setting.ts'

export type Schema<Value> = z.ZodType<Value>

/** What a document without faults leads to. */
export type TomlValues<Of extends z.ZodType> = z.output<Of>

interface Words {
  /** What is allowed, without a full stop. */
  readonly allowed: string
  /** The default as the file would say it. */
  readonly written?: string
  readonly required?: boolean
  readonly help?: string
}

const words = z.registry<Words>()

export function allowedBy(schema: z.ZodType): string {
  return words.get(schema)?.allowed ?? ''
}

/** Undefined for what is not allowed; `refusal` says why, where that is not plain. */
type Parse<Value> = (given: unknown) => Value | { readonly refusal: string } | undefined

/** A value that `parse` makes of what is given. Every fault of a value has the same form. */
export function kind<Value>(allowed: string, parse: Parse<Value>): Schema<Value> {
  const schema = z.unknown().transform((given, context) => {
    const value = parse(given)
    const isRefused = typeof value === 'object' && value !== null && 'refusal' in value
    if (value !== undefined && !isRefused) return value
    const message = given === undefined ? allowed : refused(given, allowed, isRefused ? value.refusal : undefined)
    context.addIssue({ code: 'custom', message, input: given, params: { isMissing: given === undefined } })
    // What has a fault is undefined to the checks of the whole.
    return undefined as never
  })
  return described(schema, { allowed })
}

export function described<Value>(schema: Schema<Value>, its: Words): Schema<Value> {
  words.add(schema, its)
  return schema
}

export function refused(given: unknown, allowed: string, detail?: string): string {
  if (given instanceof TomlText && given.reason !== undefined) return given.reason
  return `got ${shown(given)}${detail ? ` (${detail})` : ''}; allowed: ${allowed}`
}

function shown(given: unknown): string {
  if (given instanceof TomlText)
    return quoted(given.written.includes('://') ? withoutCredentials(given.written) : given.written)
  if (typeof given === 'number' || typeof given === 'boolean') return String(given)
  if (Array.isArray(given)) return 'a list'
  return isTomlTable(given) ? 'a table' : 'a date or time'
}

/** A key with a default, given as the file would. */
export function preset<Value>(schema: Schema<Value>, value: unknown, help: string): z.ZodPrefault<Schema<Value>> {
  const key = schema.prefault(() => asWritten(value))
  words.add(key, { allowed: allowedBy(schema), written: inToml(value), help })
  return key
}

function inToml(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(inToml).join(', ')}]` : JSON.stringify(value)
}

/** `undefined` when the file does not have it. */
export function optional<Value>(schema: Schema<Value>, help: string): z.ZodPrefault<Schema<Value | undefined>> {
  // zod 4.6 leaves out of an object what may be undefined in the end; behind a step it does not.
  const key = schema
    .optional()
    .transform((value) => value)
    .prefault(undefined)
  words.add(key, { allowed: allowedBy(schema), help })
  return key
}

export function required<Value>(schema: Schema<Value>, help: string): Schema<Value> {
  return described(schema.clone(), { allowed: allowedBy(schema), help, required: true })
}

/** A table, or in its place a value of another kind. */
export function tableOr<Value>(tables: Schema<Value>, other: Schema<Value>, allowed: string): Schema<Value> {
  const schema = z.unknown().transform((given, context) => {
    const parsed = (isTomlTable(given) ? tables : other).safeParse(given)
    if (parsed.success) return parsed.data
    for (const { path, message, ...issue } of parsed.error.issues) {
      const params = issue.code === 'custom' ? issue.params : undefined
      context.addIssue({ code: 'custom', path: [...path], message, input: given, params })
    }
    return undefined as never
  })
  return described(schema, { allowed })
}

type Keys = Readonly<Record<string, z.ZodType>>

/** A table with these keys and no others. `hint` is put to a key that looks like none of them. */
export function table<const Shape extends Keys>(
  shape: Shape,
  hint: (key: string) => string = () => '',
): z.ZodObject<Shape> {
  const known = Object.keys(shape)
  const object = z.looseObject(shape, { error: ({ input, path }) => refused(input, `a table, ${inBrackets(path)}`) })
  // Without faults it holds no other keys, as the type says.
  return object.superRefine(
    (given, context) => {
      for (const key of Object.keys(given).filter((name) => !known.includes(name))) {
        const meant = nearName(key, known)
        const message = `is not known${meant === undefined ? hint(key) : `; did you mean ${meant}?`}`
        context.addIssue({ code: 'custom', path: [key], message, params: { isUnknown: true } })
      }
    },
    // Its own issue is that it is no table.
    { when: ({ issues }) => issues.every(({ path = [] }) => path.length > 0) },
  )
}

/** A table of such tables, by names of the operator's. */
export function tablesByName<Item extends z.ZodType>(item: Item) {
  return z.record(z.string(), item, { error: ({ input, path }) => refused(input, `a table, ${inBrackets(path)}`) })
}

/** `[[name]]`, any number of times. */
export function tableList<Item extends z.ZodType>(item: Item) {
  return z.array(item, { error: ({ input, path }) => refused(input, `tables, each [${inBrackets(path)}]`) })
}

function inBrackets(path: TomlPath = []): string {
  const name = `[${path.filter((part) => typeof part === 'string').join('.')}]`
  return typeof path.at(-1) === 'number' ? `[${name}]` : name
}

type CamelCase<Name> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Name
type NameInCode<Name> = Name extends `${infer Noun}_seconds` ? `${CamelCase<Noun>}Ms` : CamelCase<Name>

/** Keys as code has them: `idle_timeout_seconds` is `idleTimeoutMs`, since `seconds` leads to milliseconds. */
export function namedAsInCode<Values extends object>(values: Values) {
  const entries = Object.entries(values).map(([key, value]) => [camelCase(key), value] as const)
  // The compiler cannot follow names through entries.
  return Object.fromEntries(entries) as { readonly [Key in keyof Values as NameInCode<Key>]: Values[Key] }
}

function camelCase(key: string): string {
  return key.replace(/_seconds$/, '_ms').replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** Each key of a table in words. */
export function describeTable(group: string, { shape }: { readonly shape: Keys }): readonly SettingDescription[] {
  return Object.entries(shape).map(([name, schema]) => {
    const { allowed = '', written = '', required: isRequired = false, help = '' } = words.get(schema) ?? {}
    return { name, group, default: written, required: isRequired, allowed, help, secret: false, fileName: undefined }
  })
}

interface Issue {
  readonly path: TomlPath
  readonly message: string
  readonly params?: Readonly<Record<string, unknown>> | undefined
}

/** What a schema says of a document, in the order of the file. */
export function tomlFaults(issues: readonly Issue[], document: TomlDocument): readonly TomlFault[] {
  const faults = issues.map(({ path, message, params = {} }) => {
    const isMissing = params['isMissing'] === true
    const place = isMissing ? path.slice(0, -1) : path
    const name = place.filter((part) => typeof part === 'string').join('.')
    const reason = isMissing ? `${String(path.at(-1))} is required; ${message}` : message
    return {
      line: document.lineOf(place),
      message: name === '' ? reason : `${name}: ${reason}`,
      rank: params['isUnknown'] ? 0 : 1,
    }
  })
  return faults.toSorted((a, b) => a.line - b.line || a.rank - b.rank)
}
