/**
 * The draws of rendezvous hashing (Thaler & Ravishankar 1998): for each pair of a key and a member one number that
 * every process computes alike. The member that draws highest for a key serves it, so one that comes or goes moves only
 * its own share.
 */

/** What stands for a member in its draws. */
export function seedOf(id: string): number {
  return mixed(keyOf(id))
}

/** 32 bits for a text (FNV-1a). */
export function keyOf(text: string): number {
  return keyOfRange(text, 0, text.length, 0)
}

/** 32 bits for a part of a text (FNV-1a), with `foldBits` set in each of its characters. */
export function keyOfRange(text: string, start: number, end: number, foldBits: number): number {
  let hash = 0x811c9dc5
  for (let index = start; index < end; index += 1) {
    hash = Math.imul(hash ^ (text.charCodeAt(index) | foldBits), 0x01000193)
  }
  return hash
}

/** Between 0 and 1, both excluded; evenly spread over the pairs. */
export function drawOf(key: number, seed: number): number {
  return ((mixed(key ^ seed) >>> 0) + 0.5) / 2 ** 32
}

/** MurmurHash3's finalizer: each bit of the input turns half of the output. */
function mixed(bits: number): number {
  let hash = bits
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
