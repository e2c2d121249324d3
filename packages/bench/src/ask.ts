import { type Agent, get as getPlain } from 'node:http'
import { get as getOverTls } from 'node:https'

/** One GET, read to its end. Whether it was answered with a 200; never rejects. */
export function ask(agent: Agent, url: string): Promise<boolean> {
  const get = url.startsWith('https:') ? getOverTls : getPlain
  return new Promise((resolve) => {
    const request = get(url, { agent }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 200))
      response.on('error', () => resolve(false))
    })
    request.on('error', () => resolve(false))
  })
}
