import { expect, test } from '@jest/globals'
import { openFilesLimit } from './proc-stats.ts'

const limits = (openFiles: string): string => `Limit                     Soft Limit           Hard Limit           Units
Max processes             127000               127000               processes
Max open files            ${openFiles} files
Max locked memory         8388608              8388608              bytes
`

test('the limit of open files is the soft one', () => {
  expect(openFilesLimit(limits('1024                 20000               '))).toBe(1024)
})

test('unlimited files have no end', () => {
  expect(openFilesLimit(limits('unlimited            unlimited           '))).toBe(Infinity)
})
