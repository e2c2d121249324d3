import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { JobNames } from '../src/jobs/job-keys.ts'
import { ApiHarness } from './api-harness.ts'

/** Reports of jobs: pages to keep and to hand on (issue 19). */
let harness: ApiHarness
beforeAll(async () => {
  const tokens = ['mine', 'theirs'].map((name) => ({ name, secret: `the-token-of-${name}` }))
  harness = await ApiHarness.start({ tokens })
})
afterAll(() => harness[Symbol.asyncDispose]())

const mine = { authorization: 'Bearer the-token-of-mine' }
const newJob = (lines: string | number): Promise<string> => harness.job(lines, '/jobs', mine)
const get = (path: string, headers = {}) => harness.ask(path, { headers })

/** The path of the report of a job, which its view tells. */
async function linkOf(id: string): Promise<string> {
  return (await get(`/jobs/${id}`, mine)).json().report as string
}

test('who shows the token of the job sees its addresses; who has the link alone sees what they have in common', async () => {
  const id = await newJob('8.8.8.8\n1.1.1.1\nnonsense\n')
  await harness.finishAll(id)
  const own = await get(`/jobs/${id}/report`, mine)
  expect([own.status, own.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
  for (const part of [
    'Report of 2 addresses',
    '8.8.8.8',
    'AS64500 Example',
    'completed',
    '1 of them without a record',
  ]) {
    expect(own.text).toContain(part)
  }
  const shared = await get(await linkOf(id))
  expect(shared.status).toBe(200)
  expect(shared.text).toContain('AS64500 Example')
  expect(shared.text).not.toMatch(/>(8\.8\.8\.8|1\.1\.1\.1|nonsense)</)
})

test('a report is not kept by search engines or caches, and its address goes nowhere', async () => {
  const { headers } = await get(await linkOf(await newJob(1)))
  expect(headers).toMatchObject({
    'x-robots-tag': expect.stringContaining('noindex'),
    'referrer-policy': 'no-referrer',
    'cache-control': 'private, no-store',
    'x-content-type-options': 'nosniff',
    'content-security-policy': expect.stringMatching(/^default-src 'none'; style-src 'sha256-[^']+';(?!.*unsafe)/),
  })
})

test('ids of reports are random, of 128 bits, and end with their jobs', async () => {
  const ids = await Promise.all([newJob(1), newJob(1)])
  const links = await Promise.all(ids.map(linkOf))
  expect(new Set(links.map((link) => link.split('/').at(-1))).size).toBe(2)
  expect(links).toEqual(ids.map((id) => expect.stringMatching(new RegExp(`^/jobs/${id}/report/[0-9a-f]{32}$`))))
  const id = ids[0] ?? ''
  await harness.ask(`/jobs/${id}`, { method: 'DELETE', headers: mine })
  await harness.ask(`/jobs/${id}`, { method: 'DELETE', headers: mine })
  expect((await get(links[0] ?? '')).status).toBe(404)
})

test.each([
  ['the id of another report', (_own: string, other: string) => other],
  ['a shorter id', (own: string) => own.slice(1)],
  ['an empty id', () => '%20'],
  ['a longer id', (own: string) => `${own}0`],
  ['another case', (own: string) => own.toUpperCase().replace(/^\d+$/, 'X')],
  ['the name of an object’s member', () => '__proto__'],
])('%s shows nothing, as no job does', async (_what, made) => {
  const [id, other] = [await newJob(1), await newJob(1)]
  const [own = '', others = ''] = (await Promise.all([linkOf(id), linkOf(other)])).map((link) => link.split('/').at(-1))
  const wrong = await get(`/jobs/${id}/report/${made(own, others)}`)
  const none = await get(`/jobs/01989ae8-3c4b-7abc-8def-0123456789ab/report/${own}`)
  expect([wrong.status, wrong.text]).toEqual([404, none.text])
})

test('without its link a report takes the token of its job', async () => {
  const id = await newJob(1)
  const statuses = await Promise.all([
    get(`/jobs/${id}/report`),
    get(`/jobs/${id}/report`, { authorization: 'Bearer the-token-of-theirs' }),
    get(`/jobs/${id}/report.json`, { authorization: 'Bearer the-token-of-theirs' }),
  ])
  expect(statuses.map(({ status }) => status)).toEqual([401, 404, 404])
})

test('as JSON it is the summary', async () => {
  const id = await newJob('8.8.8.8\n8.8.8.8\n')
  await harness.finishAll(id)
  const summary = (await get(`/jobs/${id}/summary`, mine)).json() as object
  expect(summary).toMatchObject({ total: 2, unique: 1, asns: { 'AS64500 Example': 2 } })
  const json = { accept: 'application/json' }
  const link = await linkOf(id)
  const same = await Promise.all([
    get(link, json),
    get(`${link}.json`),
    get(`/jobs/${id}/report.json`, mine),
    get(`/jobs/${id}/report`, { ...mine, ...json }),
  ])
  for (const { headers, json: read } of same) {
    expect([headers['content-type'], read()]).toEqual(['application/json; charset=utf-8', summary])
  }
  expect((await get(link, { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' })).text).toMatch(/^<!doctype html>/)
})

test('it grows with the job, and stays as it was at the end', async () => {
  const id = await newJob(2500)
  const link = await linkOf(id)
  const total = async (): Promise<unknown> => (await get(`${link}.json`)).json().total
  expect(await total()).toBe(0)
  await harness.finish(id, 0)
  expect([await total(), (await get(link)).text]).toEqual([
    1000,
    expect.stringContaining('1,000 of 2,500 lines so far'),
  ])
  await harness.ask(`/jobs/${id}`, { method: 'DELETE', headers: mine })
  expect([await total(), await total(), (await get(link)).text]).toEqual([
    1000,
    1000,
    expect.stringMatching(/cancelled .*: 1,000 lines/),
  ])
})

test('chunks that a release before this one has done are counted by their results', async () => {
  const id = await newJob(2500)
  await harness.finishAll(id)
  const { summaries } = new JobNames(harness.link.names).keysOf(id)
  await harness.link.run((client) => client.hdel(summaries, '0', '2'))
  expect((await get(`${await linkOf(id)}.json`)).json()).toMatchObject({ total: 2500, unique: 2500 })
})

test('it takes GET alone', async () => {
  const id = await newJob(1)
  const answers = await Promise.all(
    [`/jobs/${id}/report`, await linkOf(id)].map((path) => harness.ask(path, { method: 'POST', headers: mine })),
  )
  expect(answers.map(({ status, headers }) => [status, headers.allow])).toEqual([
    [405, 'GET, HEAD'],
    [405, 'GET, HEAD'],
  ])
})
