import { afterAll, expect, test } from '@jest/globals'
import { followReadme } from '../src/readme-follower.ts'
import { temporaryFolder } from '../src/service-process-folder.ts'

const folder = await temporaryFolder('follower')
afterAll(() => folder.remove())

/** Blocks are given as `[comment, script, output]`. */
async function follow(
  ...blocks: readonly (readonly [note: string, script: string, shown?: string])[]
): Promise<string[]> {
  const told: string[] = []
  const markdown = blocks.map(([note, script, shown]) => {
    const fenced = [script, shown].map((text, at) =>
      text ? `\`\`\`${at === 0 ? 'sh' : 'text'}\n${text}\n\`\`\`\n` : '',
    )
    return `${note ? `<!-- ${note} -->\n\n` : ''}${fenced.join('\n')}`
  })
  await followReadme('README', markdown.join('\n'), {
    folder: folder.path,
    env: { PATH: process.env['PATH'] ?? '', GREETING: 'good day' },
    obstacle: (script) => (script.includes('unobtainable') ? 'it cannot be had' : undefined),
    print: (line) => told.push(line),
    timeoutMs: (script) => (script === 'sleep 60' ? 2000 : 60_000),
  })
  return told
}

test('blocks that print what is shown behind them are fine', async () => {
  expect(await follow(['', 'echo $GREETING\npwd >&2', `good day\n${folder.path}`], ['', 'true'])).toEqual([])
})

test('one that prints something else is named, with both', async () => {
  await expect(follow(['', 'true'], ['', 'echo bad day', 'good day'])).rejects.toThrow(
    'README:6 shows\n\ngood day\n\nbut it printed\n\nbad day',
  )
})

test('so is one that fails, with what it printed', async () => {
  await expect(follow(['', 'echo before\nfalse\necho after'])).rejects.toThrow(
    'README:1 ended with 1. It printed\n\nbefore',
  )
})

test('and one that does not end', async () => {
  await expect(follow(['', 'sleep 60'])).rejects.toThrow('README:1 did not end within 2 s')
})

test('what runs on is there for the blocks behind it, until Ctrl-C ends it and all that it has started', async () => {
  const told = follow(
    ['runs on: ready', "touch up; trap 'rm up' EXIT; echo ready; (sleep 60)"],
    ['', 'test -e up'],
    ['Ctrl-C', 'test ! -e up'],
  )
  expect(await told).toEqual([])
})

test('what runs on does not outlive a block that fails', async () => {
  await expect(follow(['runs on: ready', 'echo ready; sleep 60'], ['', 'false'])).rejects.toThrow('ended with 1')
})

test('what ends before it is ready is named', async () => {
  await expect(follow(['runs on: ready', 'echo steady'])).rejects.toThrow('README:3 ended before it said "ready"')
})

test('blocks that cannot be run here, or are not to be run, are told with the reason', async () => {
  expect(await follow(['not run: it is dear', 'false'], ['', 'unobtainable'])).toEqual([
    'README:3 is not run: it is dear',
    'README:8 is not run: it cannot be had',
  ])
})
