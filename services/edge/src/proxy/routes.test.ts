import { expect, test } from '@jest/globals'
import { Routes } from './routes.ts'

const routes = new Routes([
  { prefix: '/jobs', upstreams: 'bulk', maxBodyBytes: 1_000_000, hedgeAfterMs: undefined },
  { prefix: '/jobs/archive/', upstreams: 'archive', maxBodyBytes: undefined, hedgeAfterMs: undefined },
])

test.each([
  ['/jobs', 'bulk'],
  ['/jobs/', 'bulk'],
  ['/jobs/7?x=/y', 'bulk'],
  ['/jobs?x', 'bulk'],
  ['/jobs/archive', 'archive'],
  ['/jobs/archive/7', 'archive'],
  ['/jobs/archived', 'bulk'],
  ['/jobsite', 'default'],
  ['/', 'default'],
  ['/8.8.8.8', 'default'],
  // As the backends will read it: these are not `/jobs` to them either.
  ['/JOBS', 'default'],
  ['/%6aobs', 'default'],
  ['//jobs', 'default'],
  ['/jobs;x', 'default'],
  ['/8.8.8.8?/jobs', 'default'],
])('%s goes to %s', (target, upstreams) => {
  expect(routes.routeFor(target).upstreams).toBe(upstreams)
})

test('a route says how large a body may be', () => {
  expect(routes.routeFor('/jobs/7').maxBodyBytes).toBe(1_000_000)
  expect(routes.routeFor('/').maxBodyBytes).toBeUndefined()
})

test('the prefix / takes everything that is left', () => {
  const all = new Routes([{ prefix: '/', upstreams: 'other', maxBodyBytes: undefined, hedgeAfterMs: undefined }])
  expect(['/', '/x', '/?'].map((target) => all.routeFor(target).upstreams)).toEqual(['other', 'other', 'other'])
})
