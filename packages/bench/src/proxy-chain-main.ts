import { Server } from 'proxy-chain'

/** A forward proxy as users of proxy-chain write it: node proxy-chain-main.ts PORT [SOURCE-ADDRESS…], those in turn */

const [port = '0', ...addresses] = process.argv.slice(2)
let turn = 0

await new Server({
  host: '127.0.0.1',
  port: Number(port),
  ...(addresses.length > 0 && {
    prepareRequestFunction: () => ({ localAddress: addresses[turn++ % addresses.length] ?? '' }),
  }),
}).listen()
