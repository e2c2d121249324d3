import { spawnSync } from 'node:child_process'
import { expect, test } from '@jest/globals'
import { compileCache } from '../src/compile-cache.ts'

const loads = `
  const made = []
  Intl.DisplayNames = class { constructor() { made.push('Intl.DisplayNames') } }
  for (const service of ['lookup', 'edge', 'egress', 'bulk']) {
    await import(new URL('services/' + service + '/src/service.ts', ${JSON.stringify(new URL('../../../', import.meta.url))}))
  }
  const undici = process.moduleLoadList.filter((name) => name.includes('undici'))
  console.log(JSON.stringify([...made, ...undici]))
`

test('no service loads what takes megabytes before it is needed: undici, names of countries', () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', loads], {
    env: { ...process.env, ...compileCache },
    encoding: 'utf8',
  })
  expect(stdout || stderr).toBe('[]\n')
})
