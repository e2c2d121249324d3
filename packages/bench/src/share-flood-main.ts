import { floods } from './share-floods.ts'

/**
 * One client, from 127.0.0.1, that takes what it can get of a server, until it is killed. `node share-flood-main.ts PORT
 * FLOOD`; it writes a line when the flood is on.
 */
const [, , port = '', name = ''] = process.argv
const flood = floods[name]
if (flood === undefined) throw new RangeError(`There is no flood '${name}'`)
await flood.begin(Number(port))
process.stdout.write('on\n')
