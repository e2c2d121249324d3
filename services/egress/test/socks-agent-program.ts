/** Asks for a URL through a proxy that speaks SOCKS5, and prints the answer: node socks-agent-program.ts PROXY URL */

import { get } from 'node:http'
import { text } from 'node:stream/consumers'
import { SocksProxyAgent } from 'socks-proxy-agent'

const [proxy = '', url = ''] = process.argv.slice(2)
get(url, { agent: new SocksProxyAgent(proxy) }, async (res) => process.stdout.write(await text(res)))
