import { type Call, carrying, environment, get, type Place, type RealProgram } from './real-program.ts'

const chains = (type: string, { guardedPort }: Place): string =>
  `strict_chain\nquiet_mode\n[ProxyList]\n${type} 127.0.0.1 ${guardedPort} me p@ss:w\n`

const proxychains = (type: string, at: Place): Call => ({
  args: ['-f', 'chain.conf', 'curl', '-sS', '--noproxy', '*', at.url],
  files: { 'chain.conf': chains(type, at) },
})

/** Commands that others have written, and how each is told of a proxy. */
export const realTools: readonly RealProgram[] = [
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
  {
    name: 'lftp',
    program: 'lftp',
    version: ['--version'],
    from: 'apt install lftp',
    ways: {
      HTTP: ({ guarded, url }) => lftp(`set http:proxy http://${guarded}; cat ${url}x`),
      CONNECT: ({ guarded, secureUrl }) => lftp(`set https:proxy http://${guarded}; cat ${secureUrl}x`),
    },
  },
  {
    // It takes a user for the proxy from nowhere but the URL, and sends what is percent-encoded there as it is.
    name: 'axel',
    program: 'axel',
    version: ['--version'],
    from: 'apt install axel',
    ways: {
      HTTP: ({ openPort, url }) => ({
        args: ['-q', '-n', '1', '-o', 'got-by-axel', url],
        env: environment(`http://127.0.0.1:${openPort}`),
      }),
    },
  },
  {
    name: 'Lynx',
    program: 'lynx',
    version: ['-version'],
    from: 'apt install lynx',
    ways: {
      HTTP: ({ guardedPort, url }) => ({
        args: ['-pauth=me:p@ss:w', '-source', url],
        env: environment(`http://127.0.0.1:${guardedPort}/`),
      }),
    },
  },
  {
    name: 'w3m',
    program: 'w3m',
    version: ['-version'],
    from: 'apt install w3m',
    ways: {
      HTTP: ({ openPort, url }) => ({ args: ['-o', `http_proxy=http://127.0.0.1:${openPort}/`, '-dump_source', url] }),
    },
  },
  {
    name: 'HTTPie',
    program: 'http',
    version: ['--version'],
    from: 'apt install httpie',
    ways: {
      HTTP: ({ guarded, url }) => ({ args: ['--ignore-stdin', `--proxy=http:http://${guarded}`, url] }),
      CONNECT: ({ guarded, secureUrl }) => ({
        args: ['--ignore-stdin', '--verify=no', `--proxy=https:http://${guarded}`, secureUrl],
      }),
    },
  },
  {
    name: 'yt-dlp',
    program: 'yt-dlp',
    version: ['--version'],
    from: 'pip install yt-dlp PySocks',
    ways: {
      HTTP: ({ guarded, url }) => ({ args: ['--proxy', `http://${guarded}`, '-o', 'got', `${url}x.mp4`] }),
      SOCKS5: ({ guarded, url }) => ({ args: ['--proxy', `socks5h://${guarded}`, '-o', 'got-too', `${url}x.mp4`] }),
    },
  },
  {
    name: 'proxytunnel',
    program: 'proxytunnel',
    version: ['--version'],
    from: 'apt install proxytunnel',
    ways: {
      CONNECT: ({ guardedPort, authority }) =>
        carrying('-q', '-p', `127.0.0.1:${guardedPort}`, '-P', 'me:p@ss:w', '-d', authority),
      TLS: ({ tlsPort, authority }) =>
        carrying('-q', '-E', '-z', '-p', `127.0.0.1:${tlsPort}`, '-P', 'me:p@ss:w', '-d', authority),
    },
  },
  {
    name: 'corkscrew',
    program: 'corkscrew',
    version: [],
    from: 'apt install corkscrew',
    ways: {
      CONNECT: ({ guardedPort, originPort }) => ({
        ...carrying('127.0.0.1', String(guardedPort), '127.0.0.1', String(originPort), 'login'),
        files: { login: 'me:p@ss:w\n' },
      }),
    },
  },
]

function ncat(type: string, { guardedPort, originPort }: Place): Call {
  const auth = ['--proxy-auth', 'me:p@ss:w']
  return carrying('--proxy', `127.0.0.1:${guardedPort}`, '--proxy-type', type, ...auth, '127.0.0.1', String(originPort))
}

function lftp(commands: string): Call {
  return { args: ['-c', `set net:max-retries 1; set ssl:verify-certificate no; ${commands}`] }
}
