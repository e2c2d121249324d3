// Counts the lines of product code (TypeScript and Lua under src, without tests, fixtures, packages/testing and
// packages/bench) by package: `npm run lines`, or `npm run lines -- <commit>` for an earlier state.
import { execFileSync } from 'node:child_process'

const [commit = 'HEAD'] = process.argv.slice(2)
const git = (...args) => execFileSync('git', args, { encoding: 'utf8', maxBuffer: 2 ** 28 })

const isProduct =
  /^(?:services|packages)\/(?!testing\/|bench\/)[^/]+\/src\/(?!.*(?:\.test\.ts|fixture[^/]*)$).*\.(?:ts|lua)$/
const files = git('ls-tree', '-r', '--name-only', commit)
  .split('\n')
  .filter((name) => isProduct.test(name))
const countByPackage = new Map()
for (const file of files) {
  const [group, name] = file.split('/')
  const lines = git('show', `${commit}:${file}`).split('\n').length - 1
  const key = `${group}/${name}`
  const { lines: sum = 0, files: count = 0 } = countByPackage.get(key) ?? {}
  countByPackage.set(key, { lines: sum + lines, files: count + 1 })
}
const rows = [...countByPackage].toSorted(([a], [b]) => a.localeCompare(b))
const total = { lines: 0, files: 0 }
for (const [, { lines, files: count }] of rows) {
  total.lines += lines
  total.files += count
}
for (const [name, { lines, files: count }] of [...rows, ['all', total]]) {
  process.stdout.write(`${name.padEnd(24)}${String(lines).padStart(7)} lines${String(count).padStart(5)} files\n`)
}
