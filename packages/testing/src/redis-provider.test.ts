import { expect, test } from '@jest/globals'
import { redisProvider } from './redis-provider.ts'

test.each(['Address already in use', 'Address in use'])(
  'a port that was taken for a moment is taken (%s)',
  async (said) => {
    const line = `# Warning: Could not create server TCP listening socket 127.0.0.1:20001: bind: ${said}`
    const provider = redisProvider('a server that says it and ends', async () => ({
      run: async () => ({
        exited: Promise.resolve({ code: 1, signal: null }),
        onLine: (listener) => listener(line),
        signal: async () => undefined,
      }),
      remove: async () => undefined,
    }))
    expect(await provider.start(20_001, [])).toBe('port_taken')
  },
)
