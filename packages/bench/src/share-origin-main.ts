import { createServer } from 'node:http'

/** A backend that answers at once, but for `/events`, which it goes on answering. `node share-origin-main.ts PORT` */
const server = createServer((req, res) => {
  if (req.url === '/events') {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 1\n\n')
    return
  }
  req.resume()
  res.setHeader('Content-Type', 'application/json')
  res.end('{"ip":"8.8.8.8"}\n')
})
server.keepAliveTimeout = 65_000
server.listen(Number(process.argv[2]), '127.0.0.1')
