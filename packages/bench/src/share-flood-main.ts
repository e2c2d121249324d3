import { connect } from 'node:net'
import { floods } from './share-floods.ts'

/**
 * One client that takes what it can get of an edge, until it is killed. `node share-flood-main.ts PORT FLOOD`; it writes
 * a line when all its connections are open.
 */
const [, , port = '', name = ''] = process.argv
const flood = floods[name]
if (flood === undefined) throw new RangeError(`There is no flood '${name}'`)
const { connections, bytes, again } = flood

let open = 0
function begin(): void {
  const socket = connect({ port: Number(port), host: '127.0.0.1' }, () => {
    open += 1
    if (open === connections) process.stdout.write('open\n')
    socket.write(bytes)
  })
  socket.on('data', () => {
    if (again) socket.write(bytes)
  })
  socket.on('error', () => undefined)
  // As one that insists.
  socket.on('close', () => setTimeout(begin, 100))
}
for (let count = 0; count < connections; count += 1) begin()
