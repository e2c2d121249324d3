#!/usr/bin/env bash
# An answer with nothing left of its freshness is kept for ever by four of six cache libraries, and they differ on below 0.
#
# lru-cache 11.5.3, keyv 5.6.0, cacheable 2.5.0 (its Cacheable and its CacheableMemory), bentocache 1.6.1 and
# @epic-web/cachified 5.6.3 (npm). What is left of an answer is max-age minus Age (RFC 9111, section 4.2), which is 0 or
# less for one that arrives stale. A TTL of 0 means "no expiry" in lru-cache, keyv, Cacheable and bentocache, and "expired"
# in cachified and in CacheableMemory, which is of the same package as Cacheable. A TTL of -1 is "expired" to all but
# Cacheable, which keeps that for ever too. lru-cache and cacheable document that 0 switches expiry off, and cacheable that
# a default of -1 does; that CacheableMemory and Keyv, on which Cacheable is built, differ from it is not told.
# Why it matters: "cache.set(key, answer, maxAge - age)" passes each test that has some freshness left, and makes the one
# answer that must not be reused immortal. Putting a memory tier of another library in front changes which.
# Instead: do not store what has nothing left, in one place before any library.
#
# Needs: node (20 or newer) with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
  lru-cache@11.5.3 keyv@5.6.0 cacheable@2.5.0 bentocache@1.6.1 @epic-web/cachified@5.6.3

cat >finding.mjs <<'EOF'
import { setTimeout as wait } from 'node:timers/promises'
import { cachified } from '@epic-web/cachified'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { Cacheable, CacheableMemory } from 'cacheable'
import Keyv from 'keyv'
import { LRUCache } from 'lru-cache'

const lru = new LRUCache({ max: 10 })
const keyv = new Keyv()
const cacheable = new Cacheable()
const cacheableMemory = new CacheableMemory()
const bento = new BentoCache({ default: 'memory', stores: { memory: bentostore().useL1Layer(memoryDriver({})) } })
const map = new Map()
const libraries = {
  'lru-cache': [(key, ttl) => lru.set(key, 'old', { ttl }), (key) => lru.get(key)],
  keyv: [(key, ttl) => keyv.set(key, 'old', ttl), (key) => keyv.get(key)],
  Cacheable: [(key, ttl) => cacheable.set(key, 'old', ttl), (key) => cacheable.get(key)],
  CacheableMemory: [(key, ttl) => cacheableMemory.set(key, 'old', ttl), (key) => cacheableMemory.get(key)],
  bentocache: [(key, ttl) => bento.set({ key, value: 'old', ttl }), (key) => bento.get({ key })],
  cachified: [
    (key, ttl) => cachified({ key, ttl, cache: map, getFreshValue: () => 'old' }),
    (key) => cachified({ key, cache: map, getFreshValue: () => undefined }),
  ],
}
const ttlsMs = [1, 0, -1]
for (const [name, [set]] of Object.entries(libraries)) for (const ttlMs of ttlsMs) await set(`${name} ${ttlMs}`, ttlMs)
await wait(1500)
console.log('lru-cache 11.5.3, keyv 5.6.0, cacheable 2.5.0, bentocache 1.6.1, @epic-web/cachified 5.6.3')
console.log('expected: gone after 1.5 seconds with a TTL of 1, 0 and -1 ms')
const kept = []
for (const [name, [, get]] of Object.entries(libraries)) {
  const seen = []
  for (const ttlMs of ttlsMs) {
    const isKept = (await get(`${name} ${ttlMs}`)) === 'old'
    seen.push(`${ttlMs}: ${isKept ? 'kept' : 'gone'}`)
    if (isKept) kept.push(`${name} ${ttlMs}`)
  }
  console.log(`seen:     ${name.padEnd(16)}${seen.join('   ')}`)
}
const same = kept.join() === 'lru-cache 0,keyv 0,Cacheable 0,Cacheable -1,bentocache 0'
console.log(same ? 'as recorded' : 'CHANGED')
process.exit(same ? 0 : 1)
EOF
node finding.mjs
