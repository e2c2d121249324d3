import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'

/** How lists, results and summaries are stored: zstd at its default level makes a tenth of records. */
export const pack = promisify(zstdCompress) as (body: string | Buffer) => Promise<Buffer>
export const unpack = promisify(zstdDecompress) as (body: Buffer) => Promise<Buffer>
