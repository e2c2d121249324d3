import { expect, test } from '@jest/globals'
import { type Answer, type Answerers, Correspondence, type Question } from './correspondence.ts'

type Sums = { readonly sum: { readonly ask: readonly number[]; readonly answer: number } }
type Adding = Answerers<Sums>['sum']

const add: Adding = (numbers) => numbers.reduce((a, b) => a + b, 0)
const never: Adding = () => new Promise(() => undefined)
const oneIsLast: Adding = async ([first = 0]) => {
  if (first === 1) await new Promise(setImmediate)
  return first
}

/** Two ends of one channel, of which the second answers like this. */
function ends(sum: Adding) {
  const letters: (Question | Answer)[] = []
  const asking: Correspondence<Sums, Sums> = new Correspondence<Sums, Sums>(
    (letter) => {
      letters.push(letter)
      queueMicrotask(() => answering.receive(letter))
    },
    { sum: never },
  )
  const answering = new Correspondence<Sums, Sums>((letter) => asking.receive(letter), { sum })
  return { asking, letters }
}

test('each question gets its own answer, whatever their order', async () => {
  const { asking } = ends(oneIsLast)
  expect(await Promise.all([asking.ask('sum', [1]), asking.ask('sum', [2])])).toEqual([1, 2])
})

test('a question that fails at the other end has no answer', async () => {
  const { asking } = ends(() => {
    throw new Error('cannot add')
  })
  expect(await asking.ask('sum', [1])).toBeUndefined()
})

test('a question about what the other end does not know has no answer', async () => {
  const sent: (Question | Answer)[] = []
  const unknowing = new Correspondence<Sums, Sums>((letter) => sent.push(letter), { sum: add })
  unknowing.receive({ kind: 'question', id: 1, topic: 'constructor', ask: null })
  await Promise.resolve()
  expect(sent).toEqual([{ kind: 'answer', id: 1, answer: undefined }])
})

test('when the other end is gone, nothing is waited for and nothing more is asked', async () => {
  const { asking, letters } = ends(never)
  const asked = asking.ask('sum', [1])
  asking.close()
  expect(await asked).toBeUndefined()
  expect(await asking.ask('sum', [2])).toBeUndefined()
  expect(letters).toHaveLength(1)
})

test('an answer that nobody waits for is nothing', () => {
  const { asking } = ends(add)
  expect(() => asking.receive({ kind: 'answer', id: 77, answer: 1 })).not.toThrow()
})
