import { isIP, type Socket } from 'node:net'
import { parseAddress } from '@ipfleet/net/cidr.ts'
import { authorityOf, type Target } from '@ipfleet/net/target.ts'
import { headEnd, type Opening } from '../server/opening.ts'
import {
  byPassword,
  connectCommand,
  ipv4Type,
  ipv6Type,
  nameType,
  passwordVersion,
  socksReplies,
  socksVersion,
  withoutPassword,
} from '../socks/socks5.ts'
import type { ParentProxy } from '../sources/parent-proxy.ts'

/** What a parent has said to a request for a tunnel. */
export type ParentAnswer =
  | { readonly kind: 'tunnel' }
  /** It could not or would not reach the target. `code` is the system's for such a failure, or words for details. */
  | { readonly kind: 'target_failed'; readonly code: string }
  /** It does not serve this proxy: it wants other credentials, has had enough, or does not speak the protocol. */
  | { readonly kind: 'parent_failed'; readonly code: string }

/** An address, or with `dns=remote` a name. */
export type ParentTarget = Pick<Target, 'host' | 'port'>

const maxHeadBytes = 16_384

/**
 * Asks a parent for a tunnel, as its protocol has it. What comes behind the answer is the target's and stays in the
 * opening.
 * @throws OpeningFault
 */
export function askForTunnel(
  socket: Socket,
  opening: Opening,
  parent: ParentProxy,
  to: ParentTarget,
): Promise<ParentAnswer> {
  return parent.protocol === 'http'
    ? askByConnect(socket, opening, parent, to)
    : askBySocks(socket, opening, parent, to)
}

async function askByConnect(
  socket: Socket,
  opening: Opening,
  { credentials }: ParentProxy,
  to: ParentTarget,
): Promise<ParentAnswer> {
  const authority = authorityOf(to)
  const pair = credentials && Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')
  const authorization = pair === undefined ? '' : `Proxy-Authorization: Basic ${pair}\r\n`
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorization}\r\n`)
  for (;;) {
    const head = opening.take(await opening.until(headEnd, maxHeadBytes)).toString('latin1')
    const status = Number(/^HTTP\/1\.[01] (\d{3})[ \r\n]/.exec(head)?.[1])
    if (Number.isNaN(status)) return { kind: 'parent_failed', code: 'parent speaks no HTTP' }
    if (status >= 200) return answerFor(status)
  }
}

function answerFor(status: number): ParentAnswer {
  if (status < 300) return { kind: 'tunnel' }
  if (status === 407 || status === 429) return { kind: 'parent_failed', code: `parent answered ${status}` }
  return { kind: 'target_failed', code: status === 504 ? 'ETIMEDOUT' : `parent answered ${status}` }
}

/** RFC 1928 and RFC 1929. Each message is one write. */
async function askBySocks(
  socket: Socket,
  opening: Opening,
  { credentials }: ParentProxy,
  to: ParentTarget,
): Promise<ParentAnswer> {
  const methods = credentials ? [withoutPassword, byPassword] : [withoutPassword]
  socket.write(Buffer.from([socksVersion, methods.length, ...methods]))
  const [version, method] = await twoBytes(opening)
  if (version !== socksVersion) return { kind: 'parent_failed', code: 'parent speaks no SOCKS5' }
  if (method === byPassword && credentials) {
    const [user, password] = [Buffer.from(credentials.user), Buffer.from(credentials.password)]
    socket.write(
      Buffer.concat([Buffer.from([passwordVersion, user.length]), user, Buffer.from([password.length]), password]),
    )
    const [, verdict] = await twoBytes(opening)
    if (verdict !== 0) return { kind: 'parent_failed', code: 'parent refuses the password' }
  } else if (method !== withoutPassword) return { kind: 'parent_failed', code: 'parent wants another login' }
  socket.write(
    Buffer.concat([Buffer.from([socksVersion, connectCommand, 0]), addressBytes(to.host), portBytes(to.port)]),
  )
  const reply = opening.take(await opening.until(replyLength, maxHeadBytes))
  return replyAnswer(reply[1] ?? socksReplies.failed)
}

async function twoBytes(opening: Opening): Promise<Buffer> {
  return opening.take(await opening.until(({ length }) => (length >= 2 ? 2 : undefined), maxHeadBytes))
}

/** Undefined while there is too little. A reply that is none ends where it shows. */
function replyLength(held: Buffer): number | undefined {
  const [version, , , type, first] = held
  if (held.length < 5) return version === socksVersion ? undefined : held.length
  const bytes = { [ipv4Type]: 4, [nameType]: 1 + (first ?? 0), [ipv6Type]: 16 }[type ?? 0]
  const length = bytes === undefined ? held.length : 4 + bytes + 2
  return held.length < length ? undefined : length
}

const failures: Readonly<Record<number, string>> = {
  [socksReplies.networkUnreachable]: 'ENETUNREACH',
  [socksReplies.hostUnreachable]: 'EHOSTUNREACH',
  [socksReplies.connectionRefused]: 'ECONNREFUSED',
  /** TTL expired. */
  6: 'ETIMEDOUT',
}

function replyAnswer(reply: number): ParentAnswer {
  if (reply === socksReplies.succeeded) return { kind: 'tunnel' }
  return { kind: 'target_failed', code: failures[reply] ?? `parent replied ${reply}` }
}

/** ATYP and address (RFC 1928 §5). */
function addressBytes(host: string): Buffer {
  const family = isIP(host)
  if (family === 0) return Buffer.concat([Buffer.from([nameType, host.length]), Buffer.from(host, 'latin1')])
  return Buffer.from([family === 4 ? ipv4Type : ipv6Type, ...parseAddress(host).toByteArray()])
}

function portBytes(port: number): Buffer {
  return Buffer.from([port >> 8, port & 255])
}
