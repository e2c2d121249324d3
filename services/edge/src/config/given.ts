import { quoted } from '@ipfleet/settings/setting.ts'
import { withoutCredentials } from '@ipfleet/settings/url-setting.ts'

/** What is wrong in the file, in words that hold nothing of the environment. */
export interface ConfigFault {
  /** Counted from 1; undefined when it is about the file as a whole. */
  readonly line: number | undefined
  readonly message: string
}

/** A value of the file, with the references to the environment in it replaced, that knows where it stands. */
export type Given = Place &
  (
    | GivenText
    | { readonly kind: 'number'; readonly value: number }
    | { readonly kind: 'flag'; readonly value: boolean }
    | { readonly kind: 'list'; readonly items: readonly Given[] }
    | { readonly kind: 'table'; readonly entries: ReadonlyMap<string, Given> }
    /** Text whose references lead nowhere; `reason` says which. */
    | { readonly kind: 'unresolved'; readonly reason: string }
    /** A date or a time, which no setting takes. */
    | { readonly kind: 'other' }
  )

export type GivenTable = Extract<Given, { kind: 'table' }>

interface Place {
  /** Counted from 1. */
  readonly line: number
  /** Its keys, without positions in lists: `routes.prefix`. */
  readonly name: string
}

interface GivenText {
  readonly kind: 'text'
  readonly text: string
  /** As the file has it: `${NAME}` and not what the environment holds. */
  readonly written: string
  /** Whether it is one reference and nothing else, and so may stand for a number or a flag too. */
  readonly isReference: boolean
}

export type Read<Value> = { readonly kind: 'value'; readonly value: Value } | Faulty

export interface Faulty {
  readonly kind: 'faults'
  readonly faults: readonly ConfigFault[]
}

export function read<Value>(value: Value): Read<Value> {
  return { kind: 'value', value }
}

/** Not what is allowed. `detail` says what exactly is wrong, where that is not plain. */
export function refused(given: Given, allowed: string, detail?: string): Faulty {
  if (given.kind === 'unresolved') return faulty(given, given.reason)
  return faulty(given, `got ${shown(given)}${detail ? ` (${detail})` : ''}; allowed: ${allowed}`)
}

export function faulty(given: Place, reason: string): Faulty {
  return { kind: 'faults', faults: [faultAt(given, reason)] }
}

export function faultAt({ line, name }: Place, reason: string): ConfigFault {
  return { line, message: name === '' ? reason : `${name}: ${reason}` }
}

/** The item of a list; for what is no list, itself. */
export function itemAt(list: Given, index: number): Given {
  return (list.kind === 'list' ? list.items[index] : undefined) ?? list
}

function shown(given: Given): string {
  switch (given.kind) {
    case 'text':
      return quoted(given.written.includes('://') ? withoutCredentials(given.written) : given.written)
    case 'number':
    case 'flag':
      return String(given.value)
    case 'list':
      return 'a list'
    case 'table':
      return 'a table'
    default:
      return 'a date or time'
  }
}
