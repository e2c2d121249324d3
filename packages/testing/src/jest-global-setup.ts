import { chooseRedisProvider, containerVariable, forcedProvider, providerVariable } from './redis-provider-choice.ts'

/**
 * Decides once, for all test files of the run, where Redis comes from, and says so. The workers that jest
 * starts afterwards inherit the decision. A container that is started for it is removed when this process ends.
 */
async function chooseForTheRun(): Promise<void> {
  const { kind, provider, container } = await chooseRedisProvider(forcedProvider())
  process.env[providerVariable] = kind
  if (container !== undefined) process.env[containerVariable] = container
  process.stderr.write(`Redis for tests: ${provider.description}\n`)
}

// oxlint-disable-next-line import/no-default-export -- jest 30 calls a setup file's default export
export default chooseForTheRun
