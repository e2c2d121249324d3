import type { Rule } from '../rules.ts'

const rule = (status: string, says: Rule['says'], action: Rule['action'], of?: readonly string[]): Rule => ({
  status,
  says,
  action,
  ...(of && { of }),
})

/**
 * What IPinfo's statuses mean (issue 12): status, what the body says, what follows, for which products. The same status
 * may be about a tool, a module, the plan, the address that was asked, the source, or the key as a whole. An error in
 * a body of status 200 counts as the status that it names. UPSTREAM_RULES puts rows before these.
 */
export const ipinfoRules: readonly Rule[] = [
  rule('2xx', 'anything', 'answer'),
  // A signed URL on another host, which clients follow by themselves.
  rule('3xx', 'anything', 'answer', ['download']),
  rule('3xx', 'anything', 'fail'),

  // A module that a plan lacks is a wrong one to it; of what every plan has, the query is wrong.
  rule('400', 'wrong_module', 'refuse_query', ['plan', 'free', 'other']),
  rule('400', 'wrong_module', 'deny_product'),
  rule('400', 'unknown_token', 'settle'),
  rule('400', 'page', 'fail_over'),

  rule('401', 'page', 'fail_over'),
  rule('401', 'permission', 'deny_product', ['module', 'tool']),
  rule('401', 'anything', 'settle'),

  rule('402', 'page', 'fail_over'),
  rule('402', 'account_limit', 'exhaust_key', ['plan', 'lookup', 'plus', 'max']),
  // Of a product that not every plan has it may mean that this one has to be paid for.
  rule('402', 'anything', 'exhaust_key', ['plan']),
  rule('402', 'anything', 'exhaust_product'),

  // A bot wall in front of upstream says nothing about a key.
  rule('403', 'page', 'fail_over'),
  rule('403', 'blocked', 'refuse_query'),
  rule('403', 'permission', 'refuse_query', ['other']),
  rule('403', 'permission', 'deny_product'),
  // "Unknown token" is said of unknown tokens, of missing permissions and of blocked addresses.
  rule('403', 'anything', 'settle'),

  rule('404', 'page', 'answer', ['other']),
  rule('404', 'page', 'fail_over'),
  rule('407', 'anything', 'fail'),
  rule('408', 'anything', 'reconnect'),
  rule('421', 'anything', 'reconnect'),
  rule('425', 'anything', 'reconnect'),

  // Tools and downloads have daily limits of their own, in the same words as the month's.
  rule('429', 'account_limit', 'rest_key', ['plan', 'lookup', 'plus', 'max']),
  rule('429', 'anything', 'rest_product'),

  rule('4xx', 'page', 'fail_over', ['plan', 'free', 'module']),
  rule('4xx', 'anything', 'answer'),
  // An upstream without batches or tools is well (RFC 9110 §15.6.2); one that cannot look up is down.
  rule('501', 'page', 'fail'),
  rule('501', 'anything', 'answer', ['batch', 'tool', 'other']),
  rule('5xx', 'anything', 'fail'),
]
