import { Server } from 'proxy-chain'

/** A forward proxy as users of proxy-chain write it: node proxy-chain-main.ts PORT */

const [port = '0'] = process.argv.slice(2)
await new Server({ host: '127.0.0.1', port: Number(port) }).listen()
