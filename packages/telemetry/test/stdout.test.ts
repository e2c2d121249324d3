import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { expect, test } from '@jest/globals'

const script = fileURLToPath(new URL('fixture-logging-process.ts', import.meta.url))

test.each(['return', 'exit', 'throw'])('no line is lost when the process ends by %s', async (ending) => {
  const child = spawn(process.execPath, [script, '5000', ending], { stdio: ['ignore', 'pipe', 'ignore'] })
  const lines = (await text(child.stdout)).trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line).n)).toEqual(Array.from({ length: 5000 }, (_, index) => index + 1))
})

test('a buffered line is out soon, without more lines behind it', async () => {
  const child = spawn(process.execPath, [script, '1', 'stay'], { stdio: ['pipe', 'pipe', 'ignore'] })
  const closed = once(child, 'close')
  const [first] = await once(child.stdout, 'data')
  expect(String(first)).toContain('"n":1')
  child.stdout.resume()
  child.stdin.end()
  expect(await closed).toEqual([0, null])
})

test('a reader that goes away does not end the process', async () => {
  const child = spawn(process.execPath, [script, '1', 'go-on'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const closed = once(child, 'close')
  await once(child.stdout, 'data')
  child.stdout.destroy()
  expect(await text(child.stderr)).toBe('alive to the end\n')
  expect(await closed).toEqual([0, null])
})

test('lines for which there is no room are counted, and the count is told where they are missing', async () => {
  const child = spawn(process.execPath, [script, '0', 'flood'], { stdio: ['pipe', 'pipe', 'pipe'] })
  await once(child.stderr, 'data')
  const kept: { n: number; msg: string; lines?: number }[] = []
  for await (const line of createInterface(child.stdout)) {
    kept.push(JSON.parse(line))
    if (kept.at(-1)?.msg === 'log lines lost') child.stdin.end()
  }
  const told = kept.at(-1)
  const numbers = kept.slice(0, -1).map(({ n }) => n)
  expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => index + 1))
  expect(told).toMatchObject({ level: 'warn', lines: 12_000 - numbers.length })
  expect(numbers.length).toBeGreaterThan(4000)
})
