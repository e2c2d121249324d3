import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { converse } from '@ipfleet/testing/raw-conversation.ts'
import { until } from '@ipfleet/testing/until.ts'
import { ProxyHarness, requestHead } from './proxy-harness.ts'

/** What the origin gets of a request's line and fields, byte for byte. */
let harness: ProxyHarness
beforeAll(async () => {
  harness = await ProxyHarness.start()
})
afterEach(() => harness.clear())
afterAll(() => harness[Symbol.asyncDispose]())

/** What the proxy adds, when the client has said nothing of the kind. */
const ofClient = 'X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n'
const added = `${ofClient}Via: 1.1 ipfleet-egress\r\n`
const closes = 'Connection: close\r\n\r\n'

/** What the origin gets when the client sends this, whose target begins with a slash or is ''. */
async function received(line: string, ...fields: readonly string[]): Promise<string> {
  const [method, target] = line.split(' ') as [string, string]
  const { server } = await harness.ask(requestHead(`${method} http://${harness.authority}${target}`, ...fields))
  return server.text
}

const head = (line: string, lines = ''): string => `${line} HTTP/1.1\r\nHost: ${harness.authority}\r\n${lines}`

describe('the request line', () => {
  test('in absolute-form goes on in origin-form', async () => {
    const path = '/a/../b%2f;c?d=e&f=%20'
    expect(await received(`GET ${path}`, 'Accept: */*')).toBe(head(`GET ${path}`, `Accept: */*\r\n${added}${closes}`))
  })

  test.each([
    ['nothing', '', '/'],
    ['a query alone', '?q', '/?q'],
    ['two slashes', '//x', '//x'],
  ])('with %s for a path', async (_what, path, origin) => {
    expect(await received(`GET ${path}`)).toBe(head(`GET ${origin}`, added + closes))
  })

  test('of OPTIONS without a path asks about the server, with one about that', async () => {
    expect(await received('OPTIONS ')).toBe(head('OPTIONS *', added + closes))
    expect(await received('OPTIONS /')).toBe(head('OPTIONS /', added + closes))
  })

  test.each(['user:pass@', 'user@', '@', 'us%40er:p%3Aa$s~@'])(
    'loses its user information, of which the origin and the log get nothing: %s',
    async (userInformation) => {
      const target = `http://${userInformation}${harness.authority}/a?b`
      const { client, server } = await harness.ask(requestHead(`GET ${target}`))
      expect(server.text).toBe(head('GET /a?b', added + closes))
      server.write('HTTP/1.1 204 No Content\r\n\r\n')
      await client.saw('204')
      await until(() => harness.egress.lines().some(({ path }) => path === '/a'))
      expect(harness.egress.output()).not.toContain(`${userInformation}127`)
    },
  )

  test('with user information leaves the client’s own Authorization alone', async () => {
    const field = 'Authorization: Basic eDp5'
    const { server } = await harness.ask(requestHead(`GET http://user:pass@${harness.authority}/`, field))
    expect(server.text).toBe(head('GET /', `${field}\r\n${added}${closes}`))
  })

  test('may spell the scheme as it likes', async () => {
    const { server } = await harness.ask(requestHead(`GET HTTP://${harness.authority}/`))
    expect(server.text).toBe(head('GET /', added + closes))
  })

  test('keeps bytes over 0x7f in the path and the query as they are, request after request', async () => {
    const path = '/caf\xc3\xa9/%c3%a9?q=\xfc'
    const { client, server } = await harness.ask(requestHead(`GET http://${harness.authority}${path}`))
    expect(server.text).toBe(head(`GET ${path}`, added + closes))
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst')
    await client.saw('first')
    client.write(requestHead(`POST http://${harness.authority}${path}`, 'Content-Length: 2') + 'hi')
    const next = await harness.origin.accept()
    await next.saw('hi')
    expect(next.text.split('\r\n')[0]).toBe(`POST ${path} HTTP/1.1`)
    next.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext')
    await client.saw('next')
  })

  test('takes a method that no list has', async () => {
    const { client, server } = await harness.ask(requestHead(`BREW ${harness.url()}`, 'Content-Length: 2') + 'hi')
    await server.saw('hi')
    expect(server.text.split('\r\n')[0]).toBe('BREW / HTTP/1.1')
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbrew')
    await client.saw('brew')
  })

  test.each(['/', '/path?query', '*'])('in another form than a proxy takes is 400 as JSON: %s', async (target) => {
    const { answers, end } = await converse(harness.egress.port, requestHead(`OPTIONS ${target}`, 'Host: example.com'))
    expect([answers.length, answers[0]?.status, end]).toEqual([1, 400, 'closed'])
    expect(answers[0]?.head).toContain('content-type: application/json')
    expect(answers[0]?.head).toContain('proxy-status: ipfleet-egress; error=http_request_error')
    expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({
      status: 400,
      error: { message: expect.stringContaining('forward proxy') },
    })
  })
})

describe('Host', () => {
  test.each(['Host: example.com', 'Host: 127.0.0.1', 'hOST: 127.0.0.1:1'])(
    'is the target’s, whatever the client’s said: %s',
    async (field) => {
      expect(await received('GET /', field)).toBe(head('GET /', added + closes))
    },
  )

  test('is the target’s for a client of HTTP/1.0 that sends none', async () => {
    const { server } = await harness.ask(`GET ${harness.url()} HTTP/1.0\r\n\r\n`)
    expect(server.text).toBe(head('GET /', `${ofClient}Via: 1.0 ipfleet-egress\r\n${closes}`))
  })

  test('has an IPv6 address in brackets, in its canonical spelling', async () => {
    await using ipv6 = await ProxyHarness.start({}, '::1')
    const { server } = await ipv6.ask(requestHead(`GET http://[0:0::0001]:${ipv6.origin.port}/`))
    expect(server.text).toContain(`\r\nHost: [::1]:${ipv6.origin.port}\r\n`)
  })
})

describe('fields for the first hop only go no further:', () => {
  test.each([
    ['Connection', 'Connection: keep-alive'],
    ['Connection with nothing in it', 'Connection: ,'],
    ['Proxy-Connection', 'Proxy-Connection: keep-alive'],
    ['Keep-Alive', 'Keep-Alive: timeout=5'],
    ['TE that takes no trailers', 'TE: gzip'],
    ['Upgrade without Connection', 'Upgrade: websocket'],
    ['an upgrade of this hop', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk'],
    ['Proxy-Authorization', 'Proxy-Authorization: Basic dTpw'],
    ['what Connection names', 'Connection: X-One , close,x-TWO\r\nX-One: 1\r\nX-Two: 2'],
    ['what a second Connection names', 'Connection: close\r\nConnection: x-three\r\nX-Three: 3'],
    ['a cookie that Connection names', 'Connection: cookie\r\nCookie: a=b'],
  ])('%s', async (_what, field) => {
    expect(await received('GET /', field, 'X-Kept: 1')).toBe(head('GET /', `X-Kept: 1\r\n${added}${closes}`))
  })

  test('TE says that trailers can be taken, for the hop to the origin', async () => {
    expect(await received('GET /', 'Connection: TE', 'TE: trailers, deflate;q=0.5')).toBe(
      head('GET /', `${added}Connection: close, TE\r\nTE: trailers\r\n\r\n`),
    )
  })

  test('Trailer and all others are kept, in their order and spelling, with all bytes', async () => {
    const kept = 'Trailer: X-Sum\r\nx-lower: 1\r\nX-Twice: 1\r\nX-Twice: \xe9\t2\r\nX-Empty: \r\n'
    expect(await received('GET /', ...kept.trimEnd().split('\r\n'))).toBe(head('GET /', kept + added + closes))
  })

  test('what Connection names cannot take away what the proxy adds', async () => {
    expect(await received('GET /', 'Connection: X-Forwarded-For, X-Real-IP, Via, Host, Content-Length')).toBe(
      head('GET /', added + closes),
    )
  })
})

test('credentials for the proxy never reach the origin', async () => {
  await using closed = await ProxyHarness.start({ PROXY_USER: 'u', PROXY_PASS: 'canary' })
  const credentials = `Proxy-Authorization: Basic ${Buffer.from('u:canary').toString('base64')}`
  const trailing = `0\r\n${credentials}\r\n\r\n`
  const { server } = await closed.post([credentials, 'Transfer-Encoding: chunked'], trailing)
  expect(await server.saw('\r\n0\r\n\r\n')).not.toMatch(/proxy-auth|canary|dTpjYW5hcnk=/i)
})

describe('who the client is', () => {
  test('is what the proxy sees, not what the client says', async () => {
    const claims = [
      'X-Forwarded-For: 1.2.3.4',
      'x_forwarded_for: 1.2.3.4',
      'X-Real-IP: 1.2.3.4',
      'Forwarded: for=1.2.3.4',
    ]
    expect(await received('GET /', ...claims)).toBe(head('GET /', added + closes))
  })

  test.each([
    ['X_FORWARDED_FOR', `X-Real-IP: 127.0.0.1\r\nVia: 1.1 ipfleet-egress\r\n`],
    ['X_REAL_IP', `X-Forwarded-For: 127.0.0.1\r\nVia: 1.1 ipfleet-egress\r\n`],
    ['VIA', ofClient],
  ])('is not said in what is switched off: %s', async (setting, left) => {
    await using silent = await ProxyHarness.start({ [setting]: 'false' })
    const { client, server } = await silent.get('/', 'X-Forwarded-For: 1.2.3.4', 'X-Real-IP: 1.2.3.4')
    expect(server.text).toBe(`GET / HTTP/1.1\r\nHost: ${silent.authority}\r\n${left}${closes}`)
    server.write('HTTP/1.1 204 No Content\r\n\r\n')
    expect(/^via:/im.test(await client.saw('\r\n\r\n'))).toBe(setting !== 'VIA')
  })
})

describe('Via', () => {
  test('names the proxy behind those before it', async () => {
    expect(await received('GET /', 'Via: 1.0 fred, HTTP/1.1 p.example (x)', 'Via: 2 q')).toBe(
      head('GET /', `${ofClient}Via: 1.0 fred, HTTP/1.1 p.example (x), 2 q, 1.1 ipfleet-egress\r\n${closes}`),
    )
  })
})

describe('Max-Forwards', () => {
  test.each(['OPTIONS', 'TRACE'])('of %s goes on one less', async (method) => {
    for (const [given, left] of [
      ['1', '0'],
      ['10', '9'],
    ]) {
      const rest = `${added}Max-Forwards: ${left}\r\n${closes}`
      expect(await received(`${method} /`, `Max-Forwards: ${given}`)).toBe(head(`${method} /`, rest))
    }
  })

  test('of OPTIONS at 0 is answered here', async () => {
    const { answers, end } = await converse(
      harness.egress.port,
      requestHead(`OPTIONS ${harness.url()}`, 'Max-Forwards: 0', 'Connection: close'),
    )
    expect([answers.length, answers[0]?.status, answers[0]?.body, end]).toEqual([1, 200, '', 'closed'])
    expect(answers[0]?.head).toContain('allow: get, head')
    expect(harness.origin.waiting).toBe(0)
  })

  test('of TRACE at 0 is answered here, with the request but for its secrets', async () => {
    const line = `TRACE ${harness.url()}`
    const asked = line.replace('://', '://user:pass@')
    const secrets = ['Proxy-Authorization: Basic dTpw', 'authorization: Basic dTpw', 'Cookie: a=b']
    const fields = ['Host: a', 'Max-Forwards: 0', 'Via: 1.0 b']
    const { answers } = await converse(
      harness.egress.port,
      requestHead(asked, ...fields, ...secrets, 'Connection: close'),
    )
    expect([answers.length, answers[0]?.status]).toEqual([1, 200])
    expect(answers[0]?.head).toContain('content-type: message/http')
    expect(answers[0]?.body).toBe(requestHead(line, ...fields, 'Connection: close'))
    expect(harness.origin.waiting).toBe(0)
  })

  test.each(['GET', 'POST'])('of %s is of no account, and passed on', async (method) => {
    const { server } = await harness.ask(
      requestHead(`${method} ${harness.url()}`, 'Max-Forwards: 0', 'Content-Length: 0'),
    )
    expect(server.text).toBe(head(`${method} /`, `${added}Max-Forwards: 0\r\nContent-Length: 0\r\n${closes}`))
  })

  test('that is no number is passed on', async () => {
    expect(await received('OPTIONS /', 'Max-Forwards: x')).toBe(
      head('OPTIONS /', `${added}Max-Forwards: x\r\n${closes}`),
    )
  })
})
