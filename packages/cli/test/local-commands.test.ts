import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { CommandGround } from '@ipfleet/testing/command-ground.ts'
import { Stopped } from '../src/command-fault.ts'
import { runHere } from './run-here.ts'

/** What asks no fleet. */

let folder: CommandGround
beforeAll(async () => {
  folder = await CommandGround.start()
})
afterAll(() => folder[Symbol.asyncDispose]())

function* slices(text: string, length: number): Generator<Buffer> {
  for (let at = 0; at < text.length; at += length) yield Buffer.from(text.slice(at, at + length))
}

const run = (command: string, args: readonly string[], stdin: string | Buffer | Readable = '') =>
  runHere([command, ...args], { folder: folder.path('.'), stdin })

const log = '8.8.8.8 - - "GET / via [2001:4860:4860::8888]:53"\n10.0.0.1:80 and 8[.]8[.]8[.]8\n'

describe('grep', () => {
  test.each([
    ['every address in its order', [], '8.8.8.8\n2001:4860:4860::8888\n10.0.0.1\n8.8.8.8\n'],
    ['each once', ['-u'], '8.8.8.8\n2001:4860:4860::8888\n10.0.0.1\n'],
    ['those of IPv6', ['-6'], '2001:4860:4860::8888\n'],
    ['those of IPv4 that a network owns', ['-4', '--exclude-reserved'], '8.8.8.8\n8.8.8.8\n'],
  ])('prints %s', async (_what, args, printed) => {
    expect(await run('grep', args, log)).toEqual({ code: 0, stdout: printed, stderr: '' })
  })

  test('reads several files, packed or not, and UTF-16', async () => {
    await folder.write('a.log.gz', gzipSync(log))
    await folder.write('b.txt', Buffer.from('\ufeff9.9.9.9\r\n', 'utf16le'))
    const { stdout } = await run('grep', ['a.log.gz', 'b.txt', '-4', '-x'])
    expect(stdout).toBe('8.8.8.8\n8.8.8.8\n9.9.9.9\n')
  })

  test.each([
    ['JSON', '[', '{"ip":"9.9.9.9","port":53},', ']'],
    ['words', '', '9.9.9.9.53 > 8[.]8[.]8[.]8 ', ''],
    ['columns', '', '9.9.9.9.53  8[.]8[.]8[.]8  ', ''],
    ['a list with semicolons', '', '9.9.9.9;', ''],
    ['a list with semicolons and blanks', '', '9.9.9.9; ', ''],
    ['a list with slashes', '', '9.9.9.9/', ''],
    ['versions of browsers', '', '9.9.9.9/Chrome/120.0.0.0/', ''],
    ['a list in colours', '', '\u001b[1;31m9.9.9.9\u001b[0;1m;', ''],
    ['a list behind something long without a break', `${'ab0'.repeat(50_000)} `, '9.9.9.9,', ''],
    ['Chinese', '', '地址9.9.9.9', ''],
  ])('takes each of %s in a line of over 64 KiB', async (_what, begin, text, end) => {
    const times = 20_000
    const { stdout } = await run('grep', [], Readable.from(slices(`${begin}${text.repeat(times)}${end}`, 4099)))
    const printed = text.includes('8[') ? '9.9.9.9\n8.8.8.8\n' : '9.9.9.9\n'
    expect(stdout === printed.repeat(times)).toBe(true)
  })

  test('ends without a fault when the reader of its output has left', async () => {
    await folder.write('long.log', '8.8.8.8 long enough for a pipe\n'.repeat(100_000))
    const command = folder.start(['long.log'], { command: 'grep' })
    command.stdout.destroy()
    expect(await command.ended).toMatchObject({ code: 0, stderr: '' })
  })

  test('ends with 1 where there are none, and with 2 for a file that is not there', async () => {
    expect(await run('grep', [], 'nothing 1.2.3\n')).toEqual({ code: 1, stdout: '', stderr: '' })
    const { code, stderr } = await run('grep', ['nowhere.log'])
    expect([code, stderr]).toEqual([2, 'ipfleet: nowhere.log cannot be read (ENOENT)\n'])
  })
})

describe('ranges', () => {
  test.each([
    ['9.0.0.1-9.0.0.9', [], ['9.0.0.1/32', '9.0.0.2/31', '9.0.0.4/30', '9.0.0.8/31']],
    ['0.0.0.0-255.255.255.255', [], ['0.0.0.0/0']],
    ['2001:db8::-2001:db8::ffff', [], ['2001:db8::/112']],
    ['9.0.0.77/24', ['--to', 'ranges'], ['9.0.0.0-9.0.0.255']],
    ['9.0.0.8/31', ['--to', 'addresses'], ['9.0.0.8', '9.0.0.9']],
    ['8.8.8.8', [], ['8.8.8.8/32']],
  ])('%s %s', async (given, args, rows) => {
    const stdout = `${rows.join('\n')}\n`
    expect(await run('ranges', [given, ...args])).toEqual({ code: 0, stdout, stderr: '' })
    expect(await run('ranges', args, `${given}\n`)).toEqual({ code: 0, stdout, stderr: '' })
  })

  test('refuses what is none, and more addresses than can be meant', async () => {
    expect(await run('ranges', ['foo'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('"foo" is no network'),
    })
    const { code, stderr } = await run('ranges', ['9.0.0.0/8', '--to', 'addresses'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('more than 65536 are not expanded')])
  })
})

test.each([['grep'], ['ranges'], ['bulk', '--url', 'http://127.0.0.1:1']])(
  '%s ends at a signal also while nothing comes through its pipe',
  async (...words) => {
    const stop = new AbortController()
    const stdin = new Readable({ read: () => stop.abort(new Stopped('SIGTERM')) })
    const end = await runHere(words, { folder: folder.path('.'), stdin, signal: stop.signal })
    expect(end).toEqual({ code: 143, stdout: '', stderr: '' })
  },
)
