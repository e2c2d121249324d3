/**
 * A member of a tar file (POSIX.1-2017, pax, "ustar Interchange Format"), without a checksum, which no reader here needs.
 * @param type `0` is a regular file, `2` a symbolic link
 */
export function tarMember(name: string, content: Buffer, type = '0'): Buffer {
  const header = Buffer.alloc(512)
  header.write(name)
  header.write(content.length.toString(8).padStart(11, '0'), 124)
  header.write(type, 156)
  header.write('ustar', 257)
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)])
}
