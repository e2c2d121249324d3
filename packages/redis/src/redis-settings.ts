import { text } from '@ipfleet/settings/kinds.ts'
import { defaultPrefix } from './fleet-names.ts'

/** What the settings of all services have in common about Redis. */
export const redisPrefix = text({
  group: 'Redis',
  default: defaultPrefix,
  pattern: /^[\w.-]{1,64}$/,
  allowed: 'up to 64 letters, digits, dots, dashes and underscores',
  help: 'The name of the fleet, before every key and channel. Fleets with different names, or in different databases, share nothing in one Redis',
})
