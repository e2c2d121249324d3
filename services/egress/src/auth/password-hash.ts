import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

/** A password as it is stored (scrypt, RFC 7914). */
export interface PasswordHash {
  readonly cost: ScryptCost
  readonly salt: Buffer
  readonly hash: Buffer
}

interface ScryptCost {
  readonly N: number
  readonly r: number
  readonly p: number
}

/** 16 MB and about 50 ms: slow for an attacker who has the file, and not too slow for the proxy. */
const defaultCost: ScryptCost = { N: 16_384, r: 8, p: 1 }
const saltBytes = 16
const hashBytes = 32
/** Limits the memory that one line of the file may demand. */
const maxMemoryBytes = 256 * 1024 * 1024

const form = /^scrypt\$N=([1-9]\d{0,7}),r=([1-9]\d?),p=([1-9]\d?)\$([\w+/-]+={0,2})\$([\w+/-]+={0,2})$/

/** `scrypt$N=16384,r=8,p=1$salt$hash`, salt and hash in base64. Undefined for anything else. */
export function readPasswordHash(text: string): PasswordHash | undefined {
  const [, N, r, p, saltText = '', hashText = ''] = form.exec(text) ?? []
  const cost = { N: Number(N), r: Number(r), p: Number(p) }
  const isPowerOfTwo = cost.N >= 2 && (cost.N & (cost.N - 1)) === 0
  if (!isPowerOfTwo || memoryOf(cost) > maxMemoryBytes) return undefined
  const salt = Buffer.from(saltText, 'base64')
  const hash = Buffer.from(hashText, 'base64')
  return salt.length >= 8 && hash.length >= 16 && hash.length <= 64 ? { cost, salt, hash } : undefined
}

export function showPasswordHash({ cost, salt, hash }: PasswordHash): string {
  const { N, r, p } = cost
  return `scrypt$N=${N},r=${r},p=${p}$${salt.toString('base64url')}$${hash.toString('base64url')}`
}

export async function hashPassword(password: string, cost: Partial<ScryptCost> = {}): Promise<PasswordHash> {
  const whole = { ...defaultCost, ...cost }
  const salt = randomBytes(saltBytes)
  return { cost: whole, salt, hash: await derive(password, salt, hashBytes, whole) }
}

/** A hash that no password matches, at the same cost. */
export function unreachableHash({ cost } = { cost: defaultCost }): PasswordHash {
  return { cost, salt: randomBytes(saltBytes), hash: randomBytes(hashBytes) }
}

export async function isPasswordOf({ cost, salt, hash }: PasswordHash, password: string): Promise<boolean> {
  return timingSafeEqual(await derive(password, salt, hash.length, cost), hash)
}

function derive(password: string, salt: Buffer, length: number, cost: ScryptCost): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const options = { ...cost, maxmem: memoryOf(cost) + 1024 * 1024 }
  scrypt(password, salt, length, options, (error, key) => (error ? reject(error) : resolve(key)))
  return promise
}

/** RFC 7914 §2, plus the p blocks. */
function memoryOf({ N, r, p }: ScryptCost): number {
  return 128 * r * (N + p)
}
