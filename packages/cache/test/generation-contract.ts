import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Generation } from '../src/generation.ts'

export interface OpenGeneration {
  readonly generation: Generation
  close(): unknown
}

/** What every `Generation` promises, once it is known. */
export function describeGeneration(name: string, open: () => Promise<OpenGeneration>): void {
  describe(`${name}, as every generation`, () => {
    let opened: OpenGeneration

    beforeEach(async () => {
      opened = await open()
    })

    afterEach(async () => {
      await opened.close()
    })

    test('is the same each time it is asked for', () => {
      const { generation } = opened
      expect(generation.require()).toBe(generation.current)
      expect(generation.require()).toBe(generation.require())
    })

    test('tells every listener of a purge, before the purge is done', async () => {
      const { generation } = opened
      const told: string[] = []
      generation.onPurge(() => told.push('first'))
      generation.onPurge(() => told.push('second'))
      await generation.purge()
      expect(told).toEqual(['first', 'second'])
    })

    test('tells of each purge', async () => {
      const { generation } = opened
      let told = 0
      generation.onPurge(() => (told += 1))
      await generation.purge()
      await generation.purge()
      expect(told).toBe(2)
    })

    test('tells of nothing unless there was a purge', () => {
      let told = 0
      opened.generation.onPurge(() => (told += 1))
      expect(told).toBe(0)
    })
  })
}
