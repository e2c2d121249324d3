import { compileCache } from '../src/compile-cache.ts'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

/** What the documents, the workflows and the examples name is there. */

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const read = (file: string): string => readFileSync(join(repository, file), 'utf8')

const services = readdirSync(join(repository, 'services'))
const readmes = ['README.md', ...services.map((name) => `services/${name}/README.md`)].filter((file) =>
  existsSync(join(repository, file)),
)
const github = readdirSync(join(repository, '.github'), { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.(?:md|yml)$/.test(file))
  .map((file) => `.github/${file}`)
const documents = [...readmes, ...github]

/** With `g` and one group. */
function allOf(pattern: RegExp, text: string): string[] {
  return [...new Set(Array.from(text.matchAll(pattern), ([, name = '']) => name))]
}

describe.each(documents)('%s', (document) => {
  const text = read(document)

  test('names npm scripts that there are', () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read('package.json'))
    const named = allOf(/npm run (?:--silent )?([\w:-]+)/g, text)
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })

  test('links to files and headings that there are', () => {
    const links = allOf(/\]\((?!https?:)([^)]+)\)/g, text).concat(allOf(/(?:src|srcset)="([^"]+)"/g, text))
    const missing = links.filter((link) => {
      const [path = '', anchor] = link.split('#')
      const file = path === '' ? document : relative('.', join(dirname(document), path))
      if (!existsSync(join(repository, file))) return true
      return anchor !== undefined && !headingsOf(read(file)).includes(anchor)
    })
    expect(missing).toEqual([])
  })
})

/** As GitHub names them. */
function headingsOf(markdown: string): string[] {
  return allOf(/^#+ (.+)$/gm, markdown).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  )
}

describe('README.md', () => {
  const text = read('README.md')

  test('names settings that a service, or docker-compose.yml, has', () => {
    const known = [...services.flatMap(settingNamesOf), ...allOf(/\$\{([A-Z_]+)/g, read('docker-compose.yml'))]
    const clients = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'API_URL', 'HOST_V6', 'NAME_FILE']
    const named = allOf(/\b([A-Z]+(?:_[A-Z0-9]+)+)\b/g, text)
    expect(named.filter((name) => ![...known, ...clients].includes(name))).toEqual([])
  })

  test.each(['services', 'packages'])('lists all %s under Layout', (folder) => {
    const [, list = ''] = new RegExp(`^    ${folder}/\\n((?:      .+\\n)+)`, 'm').exec(text) ?? []
    expect(allOf(/^ {6}([\w-]+)/gm, list).toSorted()).toEqual(readdirSync(join(repository, folder)).toSorted())
  })

  test('shows the same picture in light and dark', () => {
    const [light, dark] = ['light', 'dark'].map((scheme) => read(`.github/architecture-${scheme}.svg`))
    expect(withoutColours(dark)).toBe(withoutColours(light))
    expect(dark).not.toBe(light)
  })
})

function withoutColours(svg = ''): string {
  return svg.replaceAll(/#[0-9a-f]{6}/g, '')
}

function settingNamesOf(service: string): string[] {
  const entry = join(repository, 'services', service, 'src/main.ts')
  if (!existsSync(entry)) return []
  const help = execFileSync(process.execPath, [entry, '--help'], { encoding: 'utf8', env: compileCache })
  return allOf(/^  ([A-Z][A-Z0-9_]+)\b/gm, help).concat(allOf(/\b([A-Z][A-Z0-9_]+_FILE)\b/g, help))
}
