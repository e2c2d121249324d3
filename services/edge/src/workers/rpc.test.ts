import { expect, test } from '@jest/globals'
import { type RpcResponse, type RpcHandlers, Rpc, type RpcRequest } from './rpc.ts'

type Sums = { readonly sum: { readonly params: readonly number[]; readonly result: number } }
type Adding = RpcHandlers<Sums>['sum']

const add: Adding = (numbers) => numbers.reduce((a, b) => a + b, 0)
const never: Adding = () => new Promise(() => undefined)
const oneIsLast: Adding = async ([first = 0]) => {
  if (first === 1) await new Promise(setImmediate)
  return first
}

/** Two ends of one channel, of which the second answers like this. */
function ends(sum: Adding) {
  const messages: (RpcRequest | RpcResponse)[] = []
  const asking: Rpc<Sums, Sums> = new Rpc<Sums, Sums>(
    (message) => {
      messages.push(message)
      queueMicrotask(() => answering.receive(message))
    },
    { sum: never },
  )
  const answering = new Rpc<Sums, Sums>((message) => asking.receive(message), { sum })
  return { asking, messages }
}

test('each call gets its own result, whatever their order', async () => {
  const { asking } = ends(oneIsLast)
  expect(await Promise.all([asking.call('sum', [1]), asking.call('sum', [2])])).toEqual([1, 2])
})

test('a call that fails at the other end has no answer', async () => {
  const { asking } = ends(() => {
    throw new Error('cannot add')
  })
  expect(await asking.call('sum', [1])).toBeUndefined()
})

test('a call of a method that the other end does not know has no result', async () => {
  const sent: (RpcRequest | RpcResponse)[] = []
  const unknowing = new Rpc<Sums, Sums>((message) => sent.push(message), { sum: add })
  unknowing.receive({ kind: 'request', id: 1, method: 'constructor', params: null })
  await Promise.resolve()
  expect(sent).toEqual([{ kind: 'response', id: 1, result: undefined }])
})

test('when the other end is gone, nothing is waited for and nothing more is asked', async () => {
  const { asking, messages } = ends(never)
  const asked = asking.call('sum', [1])
  asking.close()
  expect(await asked).toBeUndefined()
  expect(await asking.call('sum', [2])).toBeUndefined()
  expect(messages).toHaveLength(1)
})

test('a response to no pending call is ignored', () => {
  const { asking } = ends(add)
  expect(() => asking.receive({ kind: 'response', id: 77, result: 1 })).not.toThrow()
})
