import { expect, test } from '@jest/globals'
import { routesOf } from './rules.ts'

const routeFor = routesOf([
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
  expect(routeFor(target).upstreams).toBe(upstreams)
})

test('a route says how large a body may be', () => {
  expect(routeFor('/jobs/7').maxBodyBytes).toBe(1_000_000)
  expect(routeFor('/').maxBodyBytes).toBeUndefined()
})

test('the prefix / takes everything that is left', () => {
  const routeToAny = routesOf([{ prefix: '/', upstreams: 'other', maxBodyBytes: undefined, hedgeAfterMs: undefined }])
  expect(['/', '/x', '/?'].map((target) => routeToAny(target).upstreams)).toEqual(['other', 'other', 'other'])
})
