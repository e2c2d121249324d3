import type { Product } from './product.ts'

/** What the body of a refusal says, where the status alone does not tell. Read by `bodySays`. */
export type Says = (typeof bodyWords)[number]

export const bodyWords = [
  'page',
  'unknown_token',
  'permission',
  'wrong_module',
  'blocked',
  'account_limit',
  'anything',
] as const

/** What follows from a reply, and how far: see the table `actions`. */
export type Action = keyof typeof actions

/** Every action, and what it is about. */
export const actions = {
  answer: 'the client gets the answer',
  reconnect: 'the connection: asked once more on a new one, then a failure of upstream',
  refuse_query: 'the query: the client gets the refusal unless another key has an answer',
  rest_product: 'the key for this product: it rests, the next key is asked',
  rest_key: 'the key as a whole: it rests, the next key is asked',
  exhaust_product: 'the key for this product, until its quota turns; the next key is asked',
  exhaust_key: 'the key as a whole, until its quota turns; the next key is asked',
  deny_product: 'the key for this product: remembered as not allowed, the next key is asked',
  deny_key: 'the key as a whole: quarantined, the next key is asked',
  settle: 'the key for this product, or as a whole: its account tells which',
  fail_over: 'upstream: the next key is asked, no key is blamed',
  fail: 'upstream for this product: a failure, no key is blamed',
} as const

/** One row of a table of rules; the first that fits counts. */
export interface Rule {
  /** `429`, `5xx`, or `any`. */
  readonly status: string
  readonly says: Says | RegExp
  /** Names or kinds of products, or `batch`. Absent: all. */
  readonly of?: readonly string[]
  readonly action: Action
}

export function actionFor(rules: readonly Rule[], { status, body, isPage, product }: Heard): Action {
  // Of most answers the status alone decides: five expressions over a record took longer than to parse it.
  let text: string | undefined
  let says: ReadonlySet<Says> | undefined
  const textOf = (): string => (text ??= body.toString('utf8', 0, readableLength))
  const fitsBody = (rule: Rule['says']): boolean => {
    if (rule === 'anything') return true
    if (rule instanceof RegExp) return rule.test(textOf())
    says ??= bodySays(textOf(), isPage)
    return says.has(rule)
  }
  const rule = rules.find((one) => fitsStatus(one.status, status) && fitsProduct(one.of, product) && fitsBody(one.says))
  return rule?.action ?? 'fail'
}

interface Heard {
  readonly status: number
  readonly body: Buffer
  readonly isPage: boolean
  readonly product: Product
}

function fitsStatus(rule: string, status: number): boolean {
  return (
    rule === 'any' || rule === String(status) || (rule.endsWith('xx') && rule.charAt(0) === String(status).charAt(0))
  )
}

function fitsProduct(of: Rule['of'], { name, kind, batchOf }: Product): boolean {
  const names = batchOf === undefined ? [name, kind] : [name, kind, batchOf, 'batch']
  return of === undefined || names.some((one) => of.includes(one))
}

const phrases: readonly (readonly [Says, RegExp])[] = [
  // Before the token: "you do not have permission" may name it, too.
  [
    'permission',
    /does(?:n.t| not) have (?:access|permission)|do(?:n.t| not) have (?:access|permission)|not (?:allowed|authori[sz]ed|permitted|included|available) |upgrade|permission denied/i,
  ],
  [
    'unknown_token',
    /(?:unknown|invalid|missing|expired|revoked) (?:api |access )?(?:token|key)|token (?:is )?(?:unknown|invalid|expired)/i,
  ],
  ['wrong_module', /wrong module|wrong (?:field|module) type/i],
  ['blocked', /\b(?:blocked|malicious)\b/i],
  ['account_limit', /\bmonthly\b|\byour account\b|\b(?:this|per|a) month\b/i],
]

/** Only the beginning of a body is read: what is said later is not a message. */
export const readableLength = 1000

function bodySays(body: string, isPage: boolean): ReadonlySet<Says> {
  if (isPage) return new Set(['page'])
  return new Set(phrases.flatMap(([says, phrase]) => (phrase.test(body) ? [says] : [])))
}
