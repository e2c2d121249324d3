import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { findPackageJSON, stripTypeScriptTypes } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Request, Response } from 'express'

export interface PageFile {
  readonly contentType: string
  readonly body: Buffer
  /** Undefined where it would save little. */
  readonly gzipped: Buffer | undefined
  /** An entity tag (RFC 9110 §8.8.3). */
  readonly tag: string
}

/**
 * What the page imports by a bare name: of each package the entry of the import map, and the folder or file that is served
 * below `/console/lib/`. Modules in it that nothing imports cost nothing.
 */
const libraries: Readonly<Record<string, { readonly entry: string; readonly serves: string }>> = {
  'd3-array': { entry: 'dist/d3-array.min.mjs', serves: 'dist/d3-array.min.mjs' },
  'd3-geo': { entry: 'dist/d3-geo.min.mjs', serves: 'dist/d3-geo.min.mjs' },
  uplot: { entry: 'dist/uPlot.esm.js', serves: 'dist' },
}

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.ts': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
}

const pageFolder = fileURLToPath(new URL('../page/', import.meta.url))
const minGzippedBytes = 1024
const notServed = /\.(?:test|d)\.ts$|^tsconfig\.json$/

/**
 * The files of the page: a table that is made once of what is in the folder, so that no path of a request is ever one of
 * the file system. Types are stripped when a file is asked for first.
 */
export class PageFiles {
  readonly #paths = new Map<string, string>()
  readonly #served = new Map<string, PageFile>()
  readonly #importMap: string

  constructor() {
    for (const name of filesBelow(pageFolder)) this.#paths.set(`/${name}`, join(pageFolder, name))
    this.#paths.set('/world-shapes.json', fileURLToPath(import.meta.resolve('@ipfleet/report/world-shapes.json')))
    const imports: Record<string, string> = {}
    for (const [name, { entry, serves }] of Object.entries(libraries)) {
      const folder = folderOf(name)
      for (const file of filesBelow(folder, serves)) this.#paths.set(`/lib/${name}/${file}`, join(folder, file))
      imports[name] = `/console/lib/${name}/${entry}`
    }
    this.#importMap = JSON.stringify({ imports })
  }

  /** What `script-src` needs besides 'self': the import map stands in the page (CSP 3 §8.5 allows it by hash). */
  get importMapHash(): string {
    return `'sha256-${createHash('sha256').update(this.#importMap).digest('base64')}'`
  }

  /** @param path below `/console`; `/` is the page itself */
  file(path: string): PageFile | undefined {
    const name = path === '/' ? '/index.html' : path
    const file = this.#paths.get(name)
    if (file === undefined) return undefined
    return this.#served.getOrInsertComputed(name, () => this.#read(file))
  }

  #read(file: string): PageFile {
    const extension = extname(file)
    const body = Buffer.from(this.#servedText(extension, readFileSync(file, 'utf8')))
    return {
      contentType: contentTypes[extension] ?? 'application/octet-stream',
      body,
      gzipped: body.length < minGzippedBytes ? undefined : gzipSync(body, { level: 9 }),
      tag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
    }
  }

  #servedText(extension: string, text: string): string {
    if (extension === '.ts') return withoutTypes(text)
    if (extension !== '.html') return text
    return text.replace('<!-- import map -->', () => `<script type="importmap">${this.#importMap}</script>`)
  }
}

/** @throws ProxyError `not_found` */
export function sendPageFile(files: PageFiles, req: Request, res: Response): void {
  const file = files.file(req.path)
  if (file === undefined) throw new ProxyError('not_found')
  const { contentType, body, gzipped, tag } = file
  res.set({ 'Cache-Control': 'no-cache', ETag: tag, Vary: 'Accept-Encoding' })
  if (req.headers['if-none-match'] === tag) return void res.status(304).end()
  const isGzipped = gzipped !== undefined && req.acceptsEncodings('gzip') === 'gzip'
  if (isGzipped) res.set('Content-Encoding', 'gzip')
  res.set('Content-Type', contentType).send(isGzipped ? gzipped : body)
}

/** Node 26.10 says on every start that this is experimental; nothing can be done about it where it is seen. */
function withoutTypes(text: string): string {
  const held = Object.getOwnPropertyDescriptor(process, 'emitWarning') ?? {}
  Object.defineProperty(process, 'emitWarning', { ...held, value: () => {} })
  try {
    return stripTypeScriptTypes(text)
  } finally {
    Object.defineProperty(process, 'emitWarning', held)
  }
}

function folderOf(library: string): string {
  const manifest = findPackageJSON(library, import.meta.url)
  if (manifest === undefined) throw new Error(`${library} is not installed`)
  return dirname(manifest)
}

/** Names relative to the folder, with slashes, of the kinds that are served. `part`: a folder or a file in it. */
function filesBelow(folder: string, part = ''): string[] {
  if (extname(part) in contentTypes) return [part]
  return readdirSync(join(folder, part), { withFileTypes: true }).flatMap((entry) => {
    const name = part === '' ? entry.name : `${part}/${entry.name}`
    if (entry.isDirectory()) return filesBelow(folder, name)
    return entry.isFile() && extname(name) in contentTypes && !notServed.test(name) ? [name] : []
  })
}
