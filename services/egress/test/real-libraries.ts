import { fileURLToPath } from 'node:url'
import { type Call, environment, type Place, type RealProgram } from './real-program.ts'

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

const perlCode = `use HTTP::Tiny; print HTTP::Tiny->new(http_proxy => $ARGV[0])->get($ARGV[1])->{content}`
const nodeCode = `fetch(process.argv[1]).then((r) => r.text()).then(console.log)`

const lwpCode = `use LWP::UserAgent; my $ua = LWP::UserAgent->new(ssl_opts => { verify_hostname => 0, SSL_verify_mode => 0 });
$ua->proxy(['http', 'https'], $ARGV[0]); print $ua->get($ARGV[1])->content`
const rubyCode = `require 'net/http'; require 'openssl'; url = URI(ARGV[1])
client = Net::HTTP.new(url.host, url.port, '127.0.0.1', ARGV[0].to_i, 'me', 'p@ss:w')
client.use_ssl = url.scheme == 'https'; client.verify_mode = OpenSSL::SSL::VERIFY_NONE; print client.get('/').body`
const phpCode = `$login = 'Proxy-Authorization: Basic ' . base64_encode('me:p@ss:w');
$http = ['proxy' => 'tcp://127.0.0.1:' . $argv[1], 'request_fulluri' => true, 'header' => $login];
$ssl = ['verify_peer' => false, 'verify_peer_name' => false];
echo file_get_contents($argv[2], false, stream_context_create(['http' => $http, 'ssl' => $ssl]));`
/** Run by Node: it finds the library from where the file lies. */
const agentProgram = fileURLToPath(new URL('socks-agent-program.ts', import.meta.url))
const agentPath = fileURLToPath(new URL('../node_modules/socks-proxy-agent', import.meta.url))

/** Libraries that others have written, and how each is told of a proxy. */
export const realLibraries: readonly RealProgram[] = [
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
  python('pycurl', 'pycurl', {
    HTTP: ({ guarded, url }) => pycurl(`http://${guarded}`, url),
    SOCKS5: ({ guarded, secureUrl }) => pycurl(`socks5h://${guarded}`, secureUrl),
  }),
  python('python-socks', 'python_socks', {
    SOCKS5: (at) => pythonSocks('socks5', at),
    CONNECT: (at) => pythonSocks('http', at),
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
    name: 'Perl LWP',
    program: 'perl',
    version: ['-MLWP::UserAgent', '-e', 'print LWP->VERSION'],
    from: 'apt install libwww-perl',
    ways: {
      HTTP: ({ guarded, url }) => ({ args: ['-e', lwpCode, `http://${guarded}`, url] }),
      CONNECT: ({ guarded, secureUrl }) => ({ args: ['-e', lwpCode, `http://${guarded}`, secureUrl] }),
    },
  },
  {
    name: 'Ruby Net::HTTP',
    program: 'ruby',
    version: ['--version'],
    from: 'apt install ruby',
    ways: {
      HTTP: ({ guardedPort, url }) => ({ args: ['-e', rubyCode, String(guardedPort), url] }),
      CONNECT: ({ guardedPort, secureUrl }) => ({ args: ['-e', rubyCode, String(guardedPort), secureUrl] }),
    },
  },
  {
    name: 'PHP streams',
    program: 'php',
    version: ['--version'],
    from: 'apt install php-cli',
    ways: {
      HTTP: ({ guardedPort, url }) => ({ args: ['-r', phpCode, String(guardedPort), url] }),
      CONNECT: ({ guardedPort, secureUrl }) => ({ args: ['-r', phpCode, String(guardedPort), secureUrl] }),
    },
  },
  {
    name: 'Rust ureq',
    program: 'cargo',
    version: ['--version'],
    from: 'https://rustup.rs',
    ways: {
      HTTP: ({ guarded, url }) => ureq(`http://${guarded}`, url),
      SOCKS5: ({ guarded, url }) => ureq(`socks5://${guarded}`, url),
    },
  },
  {
    name: 'Rust reqwest',
    program: 'cargo',
    version: ['--version'],
    from: 'https://rustup.rs; libssl-dev',
    ways: {
      HTTP: ({ guarded, url }) => reqwest(`http://${guarded}`, url),
      CONNECT: ({ guarded, secureUrl }) => reqwest(`http://${guarded}`, secureUrl),
      SOCKS5: ({ guarded, url }) => reqwest(`socks5://${guarded}`, url),
      'SOCKS5 with names': ({ guarded, originPort }) =>
        reqwest(`socks5h://${guarded}`, `http://localhost:${originPort}/`),
    },
  },
  {
    name: 'socks-proxy-agent',
    program: process.execPath,
    version: ['-p', `require('${agentPath}/package.json').version`],
    from: 'npm start',
    ways: {
      SOCKS5: ({ guarded, url }) => ({ args: [agentProgram, `socks5://${guarded}`, url] }),
      'SOCKS5 with names': ({ guarded, originPort }) => ({
        args: [agentProgram, `socks5h://${guarded}`, `http://localhost:${originPort}/`],
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

const cargoToml = `[package]
name = "asks"
version = "0.1.0"
edition = "2021"
[dependencies]
`
const ureqCrate = `ureq = { version = "3", default-features = false, features = ["socks-proxy"] }`
/** Without TLS, reqwest 0.12.28 refuses every SOCKS proxy: "invalid URL, scheme is not http". */
const reqwestCrate = `reqwest = { version = "0.12", default-features = false, features = ["blocking", "native-tls", "socks"] }`
const ureqCode = `fn main() {
    let given: Vec<String> = std::env::args().collect();
    let proxy = Some(ureq::Proxy::new(&given[1]).unwrap());
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(proxy).build().into();
    print!("{}", agent.get(&given[2]).call().unwrap().body_mut().read_to_string().unwrap());
}`

function ureq(proxy: string, url: string): Call {
  return cargo(ureqCrate, ureqCode, proxy, url)
}

const reqwestCode = `fn main() {
    let given: Vec<String> = std::env::args().collect();
    let proxy = reqwest::Proxy::all(&given[1]).unwrap();
    let client = reqwest::blocking::Client::builder().proxy(proxy).danger_accept_invalid_certs(true).build().unwrap();
    print!("{}", client.get(&given[2]).send().unwrap().text().unwrap());
}`

function reqwest(proxy: string, url: string): Call {
  return cargo(reqwestCrate, reqwestCode, proxy, url)
}

function cargo(crate: string, code: string, proxy: string, url: string): Call {
  return { args: ['run', '--quiet', proxy, url], files: { 'Cargo.toml': cargoToml + crate, 'src/main.rs': code } }
}

function pycurl(proxy: string, url: string): string {
  const settings = { URL: url, PROXY: proxy }
  const lines = Object.entries(settings).map(([name, value]) => `c.setopt(c.${name}, '${value}')`)
  return ['import pycurl', 'c = pycurl.Curl()', ...lines, 'c.setopt(c.SSL_VERIFYPEER, 0)', 'c.perform()'].join('\n')
}

function pythonSocks(scheme: string, { guarded, originPort }: Place): string {
  return [
    'from python_socks.sync import Proxy',
    `s = Proxy.from_url('${scheme}://${guarded}').connect('127.0.0.1', ${originPort})`,
    `s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')`,
    'print(s.recv(9999))',
  ].join('\n')
}
