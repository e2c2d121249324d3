import { availableParallelism } from 'node:os'

// oxlint-disable-next-line import/no-default-export -- jest 30 takes a configuration's default export
export default {
  extensionsToTreatAsEsm: ['.ts'],
  globalSetup: '<rootDir>/packages/testing/src/jest-global-setup.ts',
  // A worker waits half of the time, for processes and Redis.
  maxWorkers: Math.ceil(availableParallelism() * 1.5),
  reporters: ['default', '<rootDir>/packages/testing/src/closing-line-reporter.ts'],
  testEnvironment: 'node',
  injectGlobals: false,
  testMatch: ['<rootDir>/{services,packages}/*/{src,test}/**/!(*.long).test.ts'],
  testSequencer: '<rootDir>/packages/testing/src/slowest-first-sequencer.ts',
  // Of a test that hangs. Its waits give up sooner, each after a minute, and say for what they have waited.
  testTimeout: 180_000,
  transform: {},
}
