import { readFileSync } from 'node:fs'
import { text } from '@ipfleet/settings/kinds.ts'
import type { Setting } from '@ipfleet/settings/setting.ts'
import { ipinfoProducts } from '@ipfleet/upstream/providers/ipinfo-products.ts'
import type { Rule } from '@ipfleet/upstream/rules.ts'
import { parseRules, RulesError } from '@ipfleet/upstream/rules-text.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

const products = ipinfoProducts.map(({ name }) => name)

/** The setting `UPSTREAM_RULES`: rules as text, which begin with a status, or the path of a file of them. */
export function upstreamRules(options: { readonly help: string; readonly group: string }): Setting<readonly Rule[]> {
  const given = text({ ...options, optional: true })
  const parser = given.parser.transform((value = '', context): readonly Rule[] => {
    try {
      return parseRules(/^(?:\d|any\b)/.test(value) ? value : readFileSync(value, 'utf8'), products)
    } catch (error) {
      context.addIssue({ code: 'custom', message: reasonOf(error), input: undefined })
      return []
    }
  })
  const presence = { kind: 'optional', value: [] } as const
  return { ...given, parser, presence, allowed: 'rules, or a path', show: () => '', secretsIn: () => [] }
}

function reasonOf(error: unknown): string {
  if (error instanceof RulesError) return error.message
  return `the file cannot be read (${errorCode(error) ?? 'unknown'}); rules given as they are begin with a status`
}
