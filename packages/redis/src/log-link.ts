import type { RedisLink } from './redis-link.ts'

/** As much of a logger as it takes. */
export interface LinkLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** Of problems with a server that is used all the same, by their code. */
const whileUp: Readonly<Record<string, string>> = {
  WRONGTYPE: 'redis holds values of another program',
  UNHEARD: 'redis sends no messages',
}

/** One line when something begins to be wrong with the server, at start too, and one when it is over. @param away what follows */
export function logLink(link: RedisLink, log: LinkLog, away: string): void {
  const fields = { redis: link.name }
  link.condition.on('trouble', ({ kind, code, message }) => {
    const refused = whileUp[code] ?? 'redis takes no writes'
    log.warn({ ...fields, reason: message }, kind === 'refused' ? refused : `redis is away; ${away}`)
  })
  let wasUp = false
  const tellUp = (): void => {
    if (link.up && link.condition.trouble === undefined) log.info({ ...fields, ...masterOf(link) }, 'redis is up')
  }
  link.condition.on('well', tellUp)
  link.on('up', () => {
    // After trouble, its end is the line.
    if (!wasUp) tellUp()
    wasUp = true
  })
}

function masterOf({ master }: RedisLink): object {
  return master === undefined ? {} : { master }
}
