import { describe, expect, test } from '@jest/globals'
import { type Blame, blameFor, type Denial } from './blame.ts'

const unknown: Denial = { unknownToken: true, proven: false }
const unknownProven: Denial = { unknownToken: true, proven: true }
const refused: Denial = { unknownToken: false, proven: false }
const refusedProven: Denial = { unknownToken: false, proven: true }

const cases: [string, Denial[], Blame][] = [
  ['one key, unknown to upstream', [unknown], 'keys'],
  ['one key, unknown although it answered lately: it was revoked', [unknownProven], 'keys'],
  ['one key, refused without a reason, and it never answered', [refused], 'keys'],
  ['one key, refused without a reason, and it answers others', [refusedProven], 'question'],
  ['two keys, both unknown', [unknown, unknown], 'upstream'],
  ['three keys, all unknown, whatever they did before', [unknownProven, unknown, unknownProven], 'upstream'],
  ['two keys, refused without a reason', [refused, refused], 'question'],
  ['three keys, refused without a reason, all proven', [refusedProven, refusedProven, refusedProven], 'question'],
  ['two keys, one unknown and one refused', [unknown, refused], 'question'],
]

describe('who is to blame when no key got an answer', () => {
  test.each(cases)('%s', (_, denials, blame) => {
    expect(blameFor(denials)).toBe(blame)
  })
})
