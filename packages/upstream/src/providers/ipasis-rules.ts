import type { Rule } from '../rules.ts'

/** What the statuses of IPASIS mean. It has no account that could tell a missing permission from an unknown key. */
export const ipasisRules: readonly Rule[] = [
  { status: '2xx', says: 'anything', action: 'answer' },
  { status: '3xx', says: 'anything', action: 'fail' },
  { status: '401', says: 'page', action: 'fail_over' },
  { status: '401', says: 'anything', action: 'deny_key' },
  { status: '402', says: 'page', action: 'fail_over' },
  { status: '402', says: 'anything', action: 'exhaust_key' },
  { status: '403', says: 'page', action: 'fail_over' },
  { status: '403', says: 'blocked', action: 'refuse_query' },
  { status: '403', says: 'unknown_token', action: 'deny_key' },
  { status: '403', says: 'anything', action: 'deny_product' },
  { status: '408', says: 'anything', action: 'reconnect' },
  { status: '421', says: 'anything', action: 'reconnect' },
  { status: '425', says: 'anything', action: 'reconnect' },
  { status: '429', says: 'anything', action: 'rest_product' },
  { status: '4xx', says: 'page', action: 'fail_over' },
  { status: '4xx', says: 'anything', action: 'answer' },
  { status: '5xx', says: 'anything', action: 'fail' },
]
