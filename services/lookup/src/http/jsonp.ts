import type { Answer } from '@ipfleet/cache/entry.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'

const longestName = 128
/** `show`, `app.show`: names and dots, since whatever stands here is run by a browser. */
const functionName = /^[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*$/

/**
 * The function that a browser's script wants to be called with the answer (`?callback=`), if any. It is no part of
 * the query: the finished answer is wrapped.
 * @throws ProxyError `bad_request` for what is no function's name
 */
export function callbackIn(target: string): string | undefined {
  const mark = target.indexOf('?')
  if (mark < 0 || !target.includes('callback=', mark)) return undefined
  const name = new URLSearchParams(target.slice(mark + 1)).get('callback')
  if (name === null) return undefined
  if (name.length <= longestName && functionName.test(name)) return name
  throw new ProxyError('bad_request', { message: 'A callback is the name of a function' })
}

/**
 * JSON as a call of that function, in IPinfo's form; anything else as it is. The comment in front keeps the bytes
 * from being taken for another format (a Flash file began with the caller's text).
 */
export function asCall(answer: Answer, name: string): Answer {
  if (!answer.contentType.startsWith('application/json')) return answer
  const json = answer.body.toString('utf8')
  return {
    status: answer.status,
    contentType: 'text/javascript; charset=utf-8',
    body: Buffer.from(`/**/ typeof ${name} === 'function' && ${name}(${json});`),
  }
}
