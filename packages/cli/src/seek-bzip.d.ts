/** Of seek-bzip 2.0.0, which has no types: what is used of it. */
declare module 'seek-bzip' {
  /** The decoder of one stream. Made, it has read the header, which tells the size of blocks. */
  interface Bunzip {
    /** Bytes of a block before runs are written out. */
    readonly dbufSize: number
    readonly streamCRC: number
    readonly reader: { read(bits: number): number }
    /** Reads a block. @returns false at the end of the stream, where its checksum follows */
    _init_block(): boolean
    /** Writes the block out. */
    _read_bunzip(): number
  }
  const decoder: {
    new (input: { readonly readByte: () => number }, output: { readonly writeByte: (byte: number) => void }): Bunzip
    readonly Stream: new () => object
  }
  export default decoder
}
