import type { z } from 'zod'

/** One thing that can be set. Made by the functions of `kinds.ts`; read by the loader, the help and the tables. */
export interface Setting<Value> {
  /** From trimmed, non-empty text to the value. Issues with a custom message say what exactly is wrong. */
  readonly parser: z.ZodType<Value, string>
  readonly presence: Presence<Value>
  /** What is allowed, in words, without a full stop: `a whole number from 0 to 65535`. */
  readonly allowed: string
  readonly help: string
  /** The heading under which the help lists it. */
  readonly group: string
  /** A secret is never shown. */
  readonly secret: boolean
  /** It may also come from the file that `<NAME>_FILE` names, as every secret may. */
  readonly fromFile: boolean
  /** The value as a person would write it, for defaults in the help. */
  show(value: Value): string
  /** Refused text as it may be shown in a fault. */
  showGiven(text: string): string
  /** What of the value must never appear in a log. */
  secretsIn(value: Value): readonly string[]
}

/** Settings under a heading of their own. */
export function grouped<const Schema extends SettingsSchema>(group: string, settings: Schema): Schema {
  const entries = Object.entries(settings).map(([name, setting]) => [name, { ...setting, group }])
  return Object.fromEntries(entries) as Schema
}

/** What happens when nothing is set. `value` of `optional` is what the settings then hold: `undefined` or `[]`. */
export type Presence<Value> =
  | { readonly kind: 'default'; readonly value: Value }
  | { readonly kind: 'optional'; readonly value: Value }
  | { readonly kind: 'required' }

/** Every setting of a program by the name of its environment variable. */
export type SettingsSchema = Readonly<Record<string, Setting<unknown>>>

/** The frozen object that a schema leads to, its types taken from the schema. */
export type SettingsOf<Schema extends SettingsSchema> = {
  readonly [Name in keyof Schema]: Schema[Name] extends Setting<infer Value> ? Value : never
}

/** What every kind of setting takes. With neither `default` nor `optional`, the setting is required. */
export interface CommonOptions<Value, Optional extends boolean> {
  readonly help: string
  readonly default?: Value
  readonly optional?: Optional
}

/** `undefined` only where the setting was declared optional. */
export type Given<Value, Optional extends boolean> = Optional extends true ? Value | undefined : Value

export const fileSuffix = '_FILE'

/** Longer than any honest value; what comes after is not shown. */
const shownCharacters = 80

export function quoted(text: string): string {
  return JSON.stringify(text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text)
}

interface KindOptions<Value> {
  readonly parser: z.ZodType<Value, string>
  readonly allowed: string
  readonly secret?: boolean
  readonly fromFile?: boolean
  readonly show?: (value: Value) => string
  readonly showGiven?: (text: string) => string
  readonly secretsIn?: (value: Value) => readonly string[]
}

/** A setting with one value: `undefined` when it is optional and unset. */
export function single<Value, Optional extends boolean>(
  options: CommonOptions<Value, Optional>,
  kind: KindOptions<Value>,
): Setting<Given<Value, Optional>> {
  // The one place that knows `optional: true` to mean `Value | undefined`; the compiler cannot follow a condition on
  // a type parameter. `show` and `secretsIn` are only called with values that are there.
  return assemble(options, kind, undefined) as Setting<Given<Value, Optional>>
}

/** A setting with any number of values: `[]` when it is optional and unset. */
export function list<Item>(
  options: CommonOptions<readonly Item[], boolean>,
  kind: KindOptions<readonly Item[]>,
): Setting<readonly Item[]> {
  return assemble<readonly Item[], readonly Item[]>(options, kind, [])
}

function assemble<Value, Unset>(
  options: CommonOptions<Value, boolean>,
  kind: KindOptions<Value>,
  unset: Unset,
): Setting<Value | Unset> {
  const { show = String, showGiven = quoted, secretsIn = () => [] } = kind
  const isUnset = (value: Value | Unset): value is Unset & (Value | Unset) => value === unset
  return {
    parser: kind.parser,
    presence: presenceOf(options, unset),
    allowed: kind.allowed,
    help: options.help,
    group: 'Settings',
    secret: kind.secret ?? false,
    fromFile: kind.fromFile ?? kind.secret ?? false,
    show: (value) => (isUnset(value) ? '' : show(value)),
    showGiven,
    secretsIn: (value) => (isUnset(value) ? [] : secretsIn(value)),
  }
}

function presenceOf<Value, Unset>(options: CommonOptions<Value, boolean>, unset: Unset): Presence<Value | Unset> {
  if (options.default !== undefined) return { kind: 'default', value: options.default }
  return options.optional === true ? { kind: 'optional', value: unset } : { kind: 'required' }
}
