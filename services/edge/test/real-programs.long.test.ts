import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { ServiceProcess } from '@ipfleet/testing/service-process.ts'
import { temporaryFolder, type TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { ask } from './ask.ts'
import { onFreePorts, type Program } from './on-free-port.ts'
import { startEchoBackend } from './start-echo-backend.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { testCertificate, type TestCertificate } from './test-certificate.ts'

/** Servers and clients that others have written (issue 17), where they are installed; each says its version. */
const run = promisify(execFile)
const programs = join(import.meta.dirname, 'programs')
const inPrograms = (name: string): string => join(programs, name)

/** What says the version of a module of Python, and fails where it is missing. */
const module = (name: string): string[] => [
  'python3',
  '-c',
  `from importlib.metadata import version; print("${name}", version("${name}"))`,
]

interface Installed {
  readonly name: string
  /** Prints the version. */
  readonly version: readonly string[]
  /** How to get it. */
  readonly from: string
}

async function isThere({ name, version: [command = '', ...args], from }: Installed): Promise<boolean> {
  try {
    const { stdout, stderr } = await run(command, args)
    process.stderr.write(`${name}: ${(stdout || stderr).split('\n')[0]}\n`)
    return true
  } catch {
    process.stderr.write(`${name} is not tried, since it is missing (${from})\n`)
    return false
  }
}

let folder: TemporaryFolder
let certificate: TestCertificate
let echo: ServiceProcess
let plain: RunningEdge
let secure: RunningEdge
beforeAll(async () => {
  folder = await temporaryFolder('programs')
  certificate = await testCertificate()
  echo = await startEchoBackend()
  plain = await startEdge({ backends: [echo.port] })
  secure = await startEdge({ backends: [echo.port], tables: certificate.toml })
  await mkdir(join(folder.path, 'tmp'))
  await writeFile(join(folder.path, 'hello'), 'hello')
  await writeFile(join(folder.path, 'stream'), 'x'.repeat(300_000))
})
afterAll(async () => {
  await Promise.all([plain?.stop(), secure?.stop(), echo?.stop(), certificate?.[Symbol.asyncDispose]()])
  await folder?.remove()
})

interface Server extends Installed {
  readonly start: (port: number) => Program | Promise<Program>
  /** Has files only, and takes no POST. */
  readonly isStatic?: true
}

const python = (name: string, args: (port: number) => readonly string[]): Server => ({
  name,
  version: module(name),
  from: `pip install ${name}`,
  start: (port) => ({ command: 'python3', args: args(port) }),
})
const app = inPrograms('app.py')
const own = (name: string): Server => python(name, (port) => [app, name, String(port)])

const servers: readonly Server[] = [
  {
    name: 'python http.server',
    version: ['python3', '--version'],
    from: 'apt install python3',
    start: (port) => ({
      command: 'python3',
      args: ['-m', 'http.server', '--bind', '127.0.0.1', '-d', folder.path, `${port}`],
    }),
    isStatic: true,
  },
  {
    name: 'nginx',
    version: ['nginx', '-v'],
    from: 'apt install nginx-light',
    start: async (port) => ({
      command: 'nginx',
      args: ['-e', 'stderr', '-c', await configured('nginx.conf', nginxConfig(port))],
    }),
    isStatic: true,
  },
  {
    name: 'lighttpd',
    version: ['lighttpd', '-v'],
    from: 'apt install lighttpd',
    start: async (port) => ({
      command: 'lighttpd',
      args: ['-D', '-f', await configured('lighttpd.conf', lighttpdConfig(port))],
    }),
    isStatic: true,
  },
  {
    name: 'Caddy',
    version: ['caddy', 'version'],
    from: 'apt install caddy',
    start: (port) => ({
      command: 'caddy',
      args: ['file-server', '--root', folder.path, '--listen', `127.0.0.1:${port}`],
    }),
    isStatic: true,
  },
  {
    name: 'PHP',
    version: ['php', '--version'],
    from: 'apt install php-cli',
    start: (port) => ({ command: 'php', args: ['-S', `127.0.0.1:${port}`, '-t', folder.path] }),
    isStatic: true,
  },
  { ...own('wsgiref'), version: ['python3', '--version'], from: 'apt install python3' },
  python('gunicorn', (port) => ['-m', 'gunicorn', '--chdir', programs, '-b', `127.0.0.1:${port}`, 'app:wsgi']),
  {
    ...python('gunicorn', (port) => [
      '-m',
      'gunicorn',
      '--chdir',
      programs,
      '--threads',
      '4',
      '-b',
      `127.0.0.1:${port}`,
      'app:wsgi',
    ]),
    name: 'gunicorn with threads',
  },
  python('waitress', (port) => [
    '-c',
    inPath('from waitress.runner import run; run()'),
    `--listen=127.0.0.1:${port}`,
    'app:wsgi',
  ]),
  own('cheroot'),
  own('werkzeug'),
  python('uvicorn', (port) => ['-m', 'uvicorn', '--app-dir', programs, '--port', `${port}`, 'app:asgi']),
  python('hypercorn', (port) => ['-m', 'hypercorn', '-b', `127.0.0.1:${port}`, `${app}:asgi`]),
  python('daphne', (port) => [
    '-c',
    inPath('from daphne.cli import CommandLineInterface as C; C.entrypoint()'),
    '-p',
    `${port}`,
    'app:asgi',
  ]),
  python('granian', (port) => [
    '-c',
    inPath('from granian.cli import entrypoint; entrypoint()'),
    '--interface',
    'asgi',
    '--port',
    `${port}`,
    'app:asgi',
  ]),
  own('tornado'),
  own('aiohttp'),
  {
    name: 'Go net/http',
    version: ['go', 'version'],
    from: 'apt install golang',
    start: async (port) => ({ command: await built('server.go'), args: [`${port}`] }),
  },
  {
    name: 'Java HttpServer',
    version: ['java', '--version'],
    from: 'apt install default-jdk-headless',
    start: (port) => ({ command: 'java', args: [inPrograms('Server.java'), `${port}`] }),
  },
]

/** A program of Python that finds the application. */
function inPath(program: string): string {
  return `import sys; sys.path.insert(0, ${JSON.stringify(programs)}); ${program}`
}

async function configured(name: string, text: string): Promise<string> {
  const file = join(folder.path, name)
  await writeFile(file, text)
  return file
}

function nginxConfig(port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (of) => `${of}_temp_path ${folder.path}/tmp;`,
  )
  const server = `server { listen 127.0.0.1:${port}; root ${folder.path}; }`
  // Started by root, its workers would be nobody's, who may not read the folder.
  return `user root; daemon off; pid ${folder.path}/nginx.pid; events {} http { access_log off; ${temporary.join(' ')} ${server} }`
}

function lighttpdConfig(port: number): string {
  return `server.document-root = "${folder.path}"\nserver.bind = "127.0.0.1"\nserver.port = ${port}\n`
}

/** A program of Go, built once. */
async function built(source: string): Promise<string> {
  const program = join(folder.path, source.replace('.go', ''))
  await run('go', ['build', '-o', program, inPrograms(source)], {
    env: { ...process.env, GOFLAGS: '-mod=mod', GO111MODULE: 'off' },
  })
  return program
}

for (const server of servers) {
  const withServer = (await isThere(server)) ? describe : describe.skip

  withServer(`${server.name} behind the edge`, () => {
    test('gives its answers, whole, also ahead of each other and after HEAD', async () => {
      const running = await onFreePorts(1, ([port = 0]) => server.start(port))
      await using edge = await startEdge({ backends: running.ports })
      const agent = new Agent({ keepAlive: true, maxSockets: 4 })
      const get = async (path: string, method = 'GET', body?: string): Promise<[number, string]> => {
        const reply = await ask(edge.port, path, { agent, method, ...(body !== undefined && { body }) })
        return [reply.status, reply.body]
      }
      expect(await Promise.all(Array.from({ length: 20 }, () => get('/hello')))).toEqual(
        Array.from({ length: 20 }, () => [200, 'hello']),
      )
      for (let turn = 0; turn < 5; turn += 1) {
        expect(await get('/hello', 'HEAD')).toEqual([200, ''])
        expect(await get('/hello')).toEqual([200, 'hello'])
        const [status, stream] = await get('/stream')
        expect([status, stream.length]).toEqual([200, 300_000])
        expect((await get('/missing'))[0]).toBe(404)
        if (server.isStatic) continue
        expect(await get('/length', 'POST', 'x'.repeat(1_000_000))).toEqual([200, '1000000'])
      }
      agent.destroy()
      await running.stop()
    })
  })
}

interface Client extends Installed {
  /** The whole command; it prints the answer to a GET, and then that to a POST of 100,000 bytes. */
  readonly command: (url: string, ca?: string) => Program | Promise<Program>
  /** By which version it asks: in the clear, and over TLS; undefined where the program here is not told of a certificate. */
  readonly via: readonly [plain: string | undefined, secure: string | undefined]
}

const sh = (script: string, ...args: string[]): Program => ({ command: 'sh', args: ['-c', script, 'sh', ...args] })
const curl = (version: string, via: Client['via']): Client => ({
  name: `curl ${version}`,
  version: ['curl', '--version'],
  from: 'apt install curl',
  command: (url, ca = '/dev/null') =>
    sh(
      `curl -sS ${version} --cacert "$2" "$1" && head -c 100000 /dev/zero | curl -sS ${version} --cacert "$2" --data-binary @- "$1"`,
      url,
      ca,
    ),
  via,
})
const library = (name: string, via: Client['via'], of = name): Client => ({
  name: `python ${name}`,
  version: of === 'urllib' ? ['python3', '--version'] : module(of),
  from: `pip install ${of}`,
  command: (url, ca) => ({
    command: 'python3',
    args: [inPrograms('client.py'), name, url, ...(ca === undefined ? [] : [ca])],
  }),
  via,
})

const clients: readonly Client[] = [
  curl('--http1.0', ['1.0', '1.0']),
  curl('--http1.1', ['1.1', '1.1']),
  curl('--http2', ['1.1', '2.0']),
  {
    name: 'wget',
    version: ['wget', '--version'],
    from: 'apt install wget',
    command: (url, ca = '/dev/null') =>
      sh(
        'head -c 100000 /dev/zero >"$3"; wget -qO- --ca-certificate="$2" "$1" && wget -qO- --ca-certificate="$2" --post-file="$3" "$1"',
        url,
        ca,
        join(folder.path, 'zeros'),
      ),
    via: ['1.1', '1.1'],
  },
  library('urllib', ['1.1', '1.1']),
  library('requests', ['1.1', '1.1']),
  library('urllib3', ['1.1', '1.1']),
  library('httpx', ['1.1', '1.1']),
  library('httpx2', ['1.1', '2.0'], 'h2'),
  library('aiohttp', ['1.1', '1.1']),
  library('pycurl', ['1.1', undefined]),
  {
    name: 'Go net/http',
    version: ['go', 'version'],
    from: 'apt install golang',
    command: async (url, ca) => ({ command: await built('client.go'), args: [url, ...(ca === undefined ? [] : [ca])] }),
    via: ['1.1', '2.0'],
  },
  {
    name: 'Java HttpClient',
    version: ['java', '--version'],
    from: 'apt install default-jdk-headless',
    command: (url) => ({ command: 'java', args: [inPrograms('Client.java'), url] }),
    via: ['1.1', undefined],
  },
  {
    name: 'Perl HTTP::Tiny',
    version: ['perl', '-MHTTP::Tiny', '-e', 'print "HTTP::Tiny $HTTP::Tiny::VERSION"'],
    from: 'apt install perl',
    command: (url) => ({ command: 'perl', args: [inPrograms('client.pl'), url] }),
    via: ['1.1', undefined],
  },
]

interface Echo {
  readonly method: string
  readonly path: string
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

async function echoes({ command: make }: Client, url: string, ca?: string): Promise<Echo[]> {
  const { command, args } = await make(url, ca)
  const { stdout } = await run(command, args, { maxBuffer: 10_000_000 })
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Echo)
}

for (const client of clients) {
  const withClient = (await isThere(client)) ? describe : describe.skip
  const [inTheClear, overTls] = client.via

  withClient(`${client.name} in front of the edge`, () => {
    const ways = [
      { how: 'in the clear', via: inTheClear, get: () => echoes(client, `http://127.0.0.1:${plain.port}/a?b=c`) },
      {
        how: 'over TLS',
        via: overTls,
        get: () => echoes(client, `https://localhost:${secure.port}/a?b=c`, certificate.certFile),
      },
    ]
    test.each(ways.filter(({ via }) => via !== undefined))('gets what it asks for $how', async ({ via, get }) => {
      const [got, posted] = await get()
      expect([got?.method, got?.path, got?.headers['via']]).toEqual(['GET', '/a?b=c', `${via} ipfleet-edge`])
      expect([posted?.method, posted?.body.length]).toEqual(['POST', 100_000])
    })
  })
}
