import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'

/** Programs and libraries that others have written, and how each is told of a proxy. */

/** What programs are told of. User and password are `me` and `p@ss:w`. */
export interface Place {
  readonly folder: string
  /** Of the proxy that asks for a user, with that user, percent-encoded, in it: `me:p%40ss%3Aw@127.0.0.1:port`. */
  readonly guarded: string
  readonly guardedPort: number
  /** Of the proxy that asks for none. */
  readonly openPort: number
  /** Of the same with TLS, and its certificate. */
  readonly tlsPort: number
  readonly caFile: string
  /** `http://127.0.0.1:port/` and `127.0.0.1:port`. */
  readonly url: string
  readonly authority: string
  readonly originPort: number
  /** The same origin behind TLS. */
  readonly secureUrl: string
}

export interface Call {
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** To stdin. */
  readonly input?: string
  /** Files of the working directory. */
  readonly files?: Readonly<Record<string, string>>
  /** It is judged by what reaches the origin: the program wants more of it than is there. */
  readonly mayFail?: true
}

export interface RealProgram {
  readonly name: string
  readonly program: string
  /** Prints the version; it is missing when this fails. */
  readonly version: readonly string[]
  /** How to get it. */
  readonly from: string
  /** By what it speaks to the proxy. */
  readonly ways: Readonly<Record<string, (at: Place) => Call>>
}

const get = 'GET / HTTP/1.0\r\n\r\n'

/** For programs that read the usual variables. */
const environment = (proxy: string) => ({ http_proxy: proxy, https_proxy: proxy, all_proxy: proxy })

function python(name: string, module: string, ways: Readonly<Record<string, (at: Place) => string>>): RealProgram {
  const calls = Object.entries(ways).map(([way, code]) => [way, (at: Place) => ({ args: ['-c', code(at)] })] as const)
  const version = [
    '-c',
    `import ${module}; print(getattr(${module}, '__version__', __import__('sys').version.split()[0]))`,
  ]
  return { name, program: 'python3', version, from: `pip install ${name}`, ways: Object.fromEntries(calls) }
}

const goCode = `package main
import ("crypto/tls"; "fmt"; "io"; "net/http"; "net/url"; "os")
func main() {
	proxy, err := url.Parse(os.Args[1])
	if err != nil { panic(err) }
	skip := &tls.Config{InsecureSkipVerify: true}
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: skip}}
	answer, err := client.Get(os.Args[2])
	if err != nil { panic(err) }
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(string(body))
}`
const go = (proxy: string, url: string): Call => ({
  args: ['run', 'main.go', proxy, url],
  files: { 'main.go': goCode },
})

const javaCode = `import java.io.*; import java.net.*; import java.net.http.*;
class Main {
  public static void main(String[] a) throws Exception {
    Authenticator.setDefault(new Authenticator() {
      protected PasswordAuthentication getPasswordAuthentication() { return new PasswordAuthentication("me", "p@ss:w".toCharArray()); }
    });
    var at = new InetSocketAddress("127.0.0.1", Integer.parseInt(a[1]));
    if (a[0].equals("http")) {
      var client = HttpClient.newBuilder().proxy(ProxySelector.of(at)).authenticator(Authenticator.getDefault()).build();
      System.out.println(client.send(HttpRequest.newBuilder(URI.create(a[2])).build(), HttpResponse.BodyHandlers.ofString()).body());
    } else {
      var url = URI.create(a[2]).toURL();
      System.out.println(new String(url.openConnection(new Proxy(Proxy.Type.SOCKS, at)).getInputStream().readAllBytes()));
    }
  }
}`
const java = (way: string, { guardedPort, url }: Place): Call => ({
  args: ['Main.java', way, String(guardedPort), url],
  files: { 'Main.java': javaCode },
})

const chains = (type: string, { guardedPort }: Place): string =>
  `strict_chain\nquiet_mode\n[ProxyList]\n${type} 127.0.0.1 ${guardedPort} me p@ss:w\n`

const proxychains = (type: string, at: Place): Call => ({
  args: ['-f', 'chain.conf', 'curl', '-sS', '--noproxy', '*', at.url],
  files: { 'chain.conf': chains(type, at) },
})

/** Sent by programs that only carry bytes. */
const carrying = (...args: readonly string[]): Call => ({ args, input: get })

const perlCode = `use HTTP::Tiny; print HTTP::Tiny->new(http_proxy => $ARGV[0])->get($ARGV[1])->{content}`
const nodeCode = `fetch(process.argv[1]).then((r) => r.text()).then(console.log)`

export const realPrograms: readonly RealProgram[] = [
  {
    name: 'curl',
    program: 'curl',
    version: ['--version'],
    from: 'apt install curl',
    ways: {
      HTTP: ({ guarded, url }) => ({ args: ['-sS', '-x', `http://${guarded}`, url] }),
      CONNECT: ({ guarded, secureUrl }) => ({ args: ['-sSk', '-x', `http://${guarded}`, secureUrl] }),
      'CONNECT for http': ({ guarded, url }) => ({ args: ['-sS', '-p', '-x', `http://${guarded}`, url] }),
      'HTTP/1.0': ({ guarded, url }) => ({ args: ['-sS', '-0', '-x', `http://${guarded}`, url] }),
      'any login': ({ guarded, url }) => ({ args: ['-sS', '--proxy-anyauth', '-x', `http://${guarded}`, url] }),
      SOCKS5: ({ guarded, url }) => ({ args: ['-sS', '-x', `socks5://${guarded}`, url] }),
      'SOCKS5 with names': ({ guarded, secureUrl }) => ({ args: ['-sSk', '-x', `socks5h://${guarded}`, secureUrl] }),
      TLS: ({ tlsPort, caFile, secureUrl }) => ({
        args: ['-sSk', '--proxy-cacert', caFile, '-U', 'me:p@ss:w', '-x', `https://localhost:${tlsPort}`, secureUrl],
      }),
    },
  },
  {
    name: 'git',
    program: 'git',
    version: ['--version'],
    from: 'apt install git',
    ways: {
      HTTP: ({ guarded, url }) => ({ args: ['-c', `http.proxy=http://${guarded}`, 'ls-remote', `${url}repo.git`] }),
      CONNECT: ({ guarded, secureUrl }) => ({
        args: ['-c', `http.proxy=http://${guarded}`, '-c', 'http.sslVerify=false', 'ls-remote', `${secureUrl}repo.git`],
      }),
      SOCKS5: ({ guarded, url }) => ({
        args: ['-c', `http.proxy=socks5h://${guarded}`, 'ls-remote', `${url}repo.git`],
      }),
    },
  },
  {
    name: 'wget',
    program: 'wget',
    version: ['--version'],
    from: 'apt install wget',
    ways: {
      HTTP: ({ guarded, url }) => ({ args: ['-qO-', url], env: environment(`http://${guarded}`) }),
      CONNECT: ({ guarded, secureUrl }) => ({
        args: ['-qO-', '--no-check-certificate', secureUrl],
        env: environment(`http://${guarded}`),
      }),
    },
  },
  {
    name: 'aria2',
    program: 'aria2c',
    version: ['--version'],
    from: 'apt install aria2',
    ways: {
      HTTP: ({ guarded, url }) => ({ args: ['-q', `--all-proxy=http://${guarded}`, '-o', 'got', url] }),
    },
  },
  {
    name: 'apt',
    program: '/usr/lib/apt/apt-helper',
    version: ['--version'],
    from: 'any Debian',
    ways: {
      HTTP: ({ guarded, url }) => ({
        args: [
          '-o',
          `Acquire::http::Proxy=http://${guarded}`,
          '-o',
          'APT::Sandbox::User=root',
          'download-file',
          url,
          'got',
        ],
      }),
      SOCKS5: ({ guarded, url }) => ({
        args: [
          '-o',
          `Acquire::http::Proxy=socks5h://${guarded}`,
          '-o',
          'APT::Sandbox::User=root',
          'download-file',
          url,
          'got',
        ],
      }),
    },
  },
  {
    name: 'pip',
    program: 'python3',
    version: ['-m', 'pip', '--version'],
    from: 'apt install python3-pip',
    ways: {
      HTTP: ({ guarded, url }) => ({
        args: [
          '-m',
          'pip',
          'download',
          '--no-deps',
          '--retries',
          '0',
          '--proxy',
          `http://${guarded}`,
          '-i',
          url,
          'none',
        ],
        mayFail: true,
      }),
    },
  },
  {
    name: 'npm',
    program: 'npm',
    version: ['--version'],
    from: 'Node',
    ways: {
      HTTP: ({ guarded, url }) => ({ args: ['ping', `--proxy=http://${guarded}`, `--registry=${url}`, '--noproxy='] }),
    },
  },
  python('urllib', 'urllib.request', {
    HTTP: ({ guarded, url }) =>
      `import urllib.request as u; print(u.build_opener(u.ProxyHandler({'http': 'http://${guarded}'})).open('${url}').read())`,
  }),
  python('requests', 'requests', {
    HTTP: ({ guarded, url }) =>
      `import requests; print(requests.get('${url}', proxies={'http': 'http://${guarded}'}).text)`,
    CONNECT: ({ guarded, secureUrl }) =>
      `import requests; print(requests.get('${secureUrl}', proxies={'https': 'http://${guarded}'}, verify=False).text)`,
  }),
  python('PySocks', 'socks', {
    SOCKS5: ({ guardedPort, originPort }) =>
      `import socks; s = socks.socksocket(); s.set_proxy(socks.SOCKS5, '127.0.0.1', ${guardedPort}, True, 'me', 'p@ss:w'); ` +
      `s.connect(('127.0.0.1', ${originPort})); s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(s.recv(9999)); print(s.recv(9999))`,
    CONNECT: ({ openPort, originPort }) =>
      `import socks; s = socks.socksocket(); s.set_proxy(socks.HTTP, '127.0.0.1', ${openPort}); ` +
      `s.connect(('127.0.0.1', ${originPort})); s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(s.recv(9999)); print(s.recv(9999))`,
  }),
  python('httpx', 'httpx', {
    HTTP: ({ guarded, url }) => `import httpx; print(httpx.Client(proxy='http://${guarded}').get('${url}').text)`,
    CONNECT: ({ guarded, secureUrl }) =>
      `import httpx; print(httpx.Client(proxy='http://${guarded}', verify=False).get('${secureUrl}').text)`,
    SOCKS5: ({ guarded, url }) => `import httpx; print(httpx.Client(proxy='socks5://${guarded}').get('${url}').text)`,
  }),
  python('aiohttp', 'aiohttp', {
    HTTP: ({ guarded, url }) => aiohttp(`aiohttp.ClientSession()`, `'${url}', proxy='http://${guarded}'`),
    CONNECT: ({ guarded, secureUrl }) =>
      aiohttp(`aiohttp.ClientSession()`, `'${secureUrl}', proxy='http://${guarded}', ssl=False`),
  }),
  python('aiohttp-socks', 'aiohttp_socks', {
    SOCKS5: ({ guarded, url }) =>
      aiohttp(
        `aiohttp.ClientSession(connector=__import__('aiohttp_socks').ProxyConnector.from_url('socks5://${guarded}'))`,
        `'${url}'`,
      ),
  }),
  {
    name: 'Go net/http',
    program: 'go',
    version: ['version'],
    from: 'https://go.dev',
    ways: {
      HTTP: ({ guarded, url }) => go(`http://${guarded}`, url),
      CONNECT: ({ guarded, secureUrl }) => go(`http://${guarded}`, secureUrl),
      SOCKS5: ({ guarded, url }) => go(`socks5://${guarded}`, url),
      TLS: ({ tlsPort, secureUrl }) => go(`https://me:p%40ss%3Aw@127.0.0.1:${tlsPort}`, secureUrl),
    },
  },
  {
    name: 'Java',
    program: 'java',
    version: ['--version'],
    from: 'apt install default-jdk-headless',
    ways: { HTTP: (at) => java('http', at), SOCKS5: (at) => java('socks', at) },
  },
  {
    name: 'Node fetch',
    program: process.execPath,
    version: ['--version'],
    from: 'Node',
    ways: {
      CONNECT: ({ guarded, url }) => ({
        args: ['-e', nodeCode, url],
        env: { ...environment(`http://${guarded}`), NODE_USE_ENV_PROXY: '1' },
      }),
    },
  },
  {
    name: 'Perl HTTP::Tiny',
    program: 'perl',
    version: ['-MHTTP::Tiny', '-e', 'print HTTP::Tiny->VERSION'],
    from: 'apt install perl',
    ways: { HTTP: ({ guarded, url }) => ({ args: ['-e', perlCode, `http://${guarded}`, url] }) },
  },
  {
    name: 'OpenBSD nc',
    program: 'nc.openbsd',
    version: ['-h'],
    from: 'apt install netcat-openbsd',
    ways: {
      SOCKS5: ({ openPort, originPort }) =>
        carrying('-X', '5', '-x', `127.0.0.1:${openPort}`, '127.0.0.1', String(originPort)),
      CONNECT: ({ openPort, originPort }) =>
        carrying('-X', 'connect', '-x', `127.0.0.1:${openPort}`, '127.0.0.1', String(originPort)),
    },
  },
  {
    name: 'ncat',
    program: 'ncat',
    version: ['--version'],
    from: 'apt install ncat',
    ways: {
      SOCKS5: (at) => ncat('socks5', at),
      CONNECT: (at) => ncat('http', at),
    },
  },
  {
    name: 'socat',
    program: 'socat',
    version: ['-V'],
    from: 'apt install socat',
    ways: {
      CONNECT: ({ guardedPort, originPort }) =>
        carrying('-t5', '-', `PROXY:127.0.0.1:127.0.0.1:${originPort},proxyport=${guardedPort},proxyauth=me:p@ss\\:w`),
    },
  },
  {
    name: 'connect-proxy',
    program: 'connect-proxy',
    version: ['-V'],
    from: 'apt install connect-proxy',
    ways: {
      SOCKS5: ({ guardedPort, originPort }) => ({
        ...carrying('-5', '-S', `me@127.0.0.1:${guardedPort}`, '127.0.0.1', String(originPort)),
        env: { SOCKS5_PASSWORD: 'p@ss:w' },
      }),
      CONNECT: ({ guardedPort, originPort }) => ({
        ...carrying('-H', `me@127.0.0.1:${guardedPort}`, '127.0.0.1', String(originPort)),
        env: { HTTP_PROXY_PASSWORD: 'p@ss:w' },
      }),
    },
  },
  {
    name: 'proxychains4',
    program: 'proxychains4',
    version: [],
    from: 'apt install proxychains4',
    ways: { SOCKS5: (at) => proxychains('socks5', at), CONNECT: (at) => proxychains('http', at) },
  },
  {
    name: 'ssh',
    program: 'ssh',
    version: ['-V'],
    from: 'apt install openssh-client',
    ways: {
      'SOCKS5 by nc': ({ openPort, originPort }) => ({
        args: [
          '-o',
          `ProxyCommand=nc -X 5 -x 127.0.0.1:${openPort} %h %p`,
          '-o',
          'StrictHostKeyChecking=no',
          '-o',
          'ConnectTimeout=2',
          '-p',
          String(originPort),
          '127.0.0.1',
        ],
        mayFail: true,
      }),
    },
  },
  {
    name: 'openssl',
    program: 'openssl',
    version: ['version'],
    from: 'apt install openssl',
    ways: {
      CONNECT: ({ guardedPort, secureUrl }) => ({
        args: [
          's_client',
          '-quiet',
          '-proxy',
          `127.0.0.1:${guardedPort}`,
          '-proxy_user',
          'me',
          '-proxy_pass',
          'pass:p@ss:w',
          '-connect',
          new URL(secureUrl).host,
        ],
        input: get,
      }),
    },
  },
]

function aiohttp(session: string, asked: string): string {
  return [
    'import aiohttp, asyncio',
    'async def main():',
    `  async with ${session} as s:`,
    `    async with s.get(${asked}) as r: print(await r.text())`,
    'asyncio.run(main())',
  ].join('\n')
}

function ncat(type: string, { guardedPort, originPort }: Place): Call {
  const auth = ['--proxy-auth', 'me:p@ss:w']
  return carrying('--proxy', `127.0.0.1:${guardedPort}`, '--proxy-type', type, ...auth, '127.0.0.1', String(originPort))
}

/** The first line of what tells its version, or undefined where it is missing. */
export async function versionOf({ program, version }: RealProgram): Promise<string | undefined> {
  const { failed, output } = await finished(program, { args: version }, process.cwd())
  return failed === 'ENOENT' || /ModuleNotFoundError|No module named/.test(output)
    ? undefined
    : (output.split('\n').find((line) => /\d/.test(line)) ?? '').trim()
}

/** Runs it to its end. Rejects if it fails and may not. @returns what it wrote */
export async function outputOf({ program }: RealProgram, call: Call, folder: TemporaryFolder): Promise<string> {
  for (const [name, content] of Object.entries(call.files ?? {})) await writeFile(join(folder.path, name), content)
  const { failed, output } = await finished(program, call, folder.path)
  if (failed !== undefined && !call.mayFail) throw new Error(`${program} failed (${failed}):\n${output}`)
  return output
}

/** With nothing in its environment that names another proxy. */
function finished(program: string, { args, env, input = '' }: Call, cwd: string) {
  const { PATH, HOME } = process.env
  const { promise, resolve } = Promise.withResolvers<{ failed: string | undefined; output: string }>()
  const options = { cwd, timeout: 120_000, env: { PATH, HOME, ...env } }
  const child = execFile(program, args, options, (error, stdout, stderr) =>
    resolve({ failed: error === null ? undefined : String(error.code ?? error.signal), output: stdout + stderr }),
  )
  child.stdin?.on('error', () => {}).end(input)
  return promise
}
