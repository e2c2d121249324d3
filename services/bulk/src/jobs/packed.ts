import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** What is kept in Redis of inputs and results: zstd at its own level, which makes a tenth of records. */
export const packed = (body: string | Buffer): Promise<Buffer> => compress(body)

export const unpacked = (body: Buffer): Promise<Buffer> => decompress(body)
