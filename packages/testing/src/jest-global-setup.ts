import { chooseRedisProvider, forcedProvider, providerVariable } from './redis-provider-choice.ts'

/**
 * Decides once, for all test files of the run, where Redis comes from, and says so. The workers that jest
 * starts afterwards inherit the decision. Nothing is started here, so there is nothing to tear down.
 */
async function chooseForTheRun(): Promise<void> {
  const { kind, provider } = await chooseRedisProvider(forcedProvider())
  process.env[providerVariable] = kind
  process.stderr.write(`Redis for tests: ${provider.description}\n`)
}

// oxlint-disable-next-line import/no-default-export -- jest 30 calls a setup file's default export
export default chooseForTheRun
