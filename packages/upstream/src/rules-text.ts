import { productKinds } from './product.ts'
import { type Action, actions, bodyWords, type Rule, type Says } from './rules.ts'

export class RulesError extends Error {
  override readonly name = 'RulesError'
}

const form = /^(\S+)\s+(\/.+\/|\S+)\s+(\S+)(?:\s+of\s+(\S+))?$/
const statusForm = /^(?:\d{3}|[1-5]xx|any)$/

/**
 * Rules as an operator writes them, one a line or separated by semicolons: `STATUS SAYS ACTION [of PRODUCT,…]`, such as
 * `403 /your network/ fail` or `429 anything rest_key of core,lookup`. Lines that are empty or begin with `#` say nothing.
 * @param products the provider's, by name
 * @throws RulesError that names the line
 */
export function parseRules(text: string, products: readonly string[]): Rule[] {
  const names: ReadonlySet<string> = new Set([...products, ...productKinds])
  return text.split(/\r?\n|;/).flatMap((line, at) => {
    const rule = line.trim()
    return rule === '' || rule.startsWith('#')
      ? []
      : [ruleOf(rule, names, (what) => new RulesError(`rule ${at + 1}: ${what}`))]
  })
}

function ruleOf(text: string, names: ReadonlySet<string>, fault: (what: string) => RulesError): Rule {
  const [, status = '', says = '', action = '', of] = form.exec(text) ?? []
  if (action === '') throw fault('it is STATUS SAYS ACTION [of PRODUCT,…]')
  if (!statusForm.test(status)) throw fault(`the status is a number like 403, a class like 5xx, or any: not ${status}`)
  if (!isAction(action)) throw fault(`the action is one of ${Object.keys(actions).join(', ')}: not ${action}`)
  const products = of?.split(',')
  const unknown = products?.find((name) => !names.has(name))
  if (unknown !== undefined) throw fault(`the product is one of ${[...names].join(', ')}: not ${unknown}`)
  return { status, says: saysOf(says, fault), action, ...(products && { of: products }) }
}

function isAction(word: string): word is Action {
  return Object.hasOwn(actions, word)
}

function saysOf(word: string, fault: (what: string) => RulesError): Says | RegExp {
  if (word.startsWith('/')) {
    try {
      return new RegExp(word.slice(1, -1), 'i')
    } catch {
      throw fault(`${word} is no regular expression`)
    }
  }
  const says = bodyWords.find((one) => one === word)
  if (says === undefined)
    throw fault(`what the body says is /a pattern/ or one of ${bodyWords.join(', ')}: not ${word}`)
  return says
}
