import { describe, expect, test } from '@jest/globals'
import { Webhook } from 'standardwebhooks'
import { WebhookSigner } from './webhook-signer.ts'

const secret = `whsec_${Buffer.alloc(32, 'a secret').toString('base64')}`
const older = Buffer.alloc(24, 'older').toString('base64')
const body = '{"type":"job.completed","data":{"id":"ä"}}'

const sign = (...secrets: readonly string[]) => ({ ...new WebhookSigner(secrets).sign('msg_1', Date.now(), body) })

test('is what the example of the specification says', () => {
  const signer = new WebhookSigner(['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'])
  expect(signer.sign('msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330_999, '{"test": 2432232314}')).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})

test('verifies with the ready-made library, and only with its secret, for its body and its id', () => {
  const fields = sign(secret)
  const receiver = new Webhook(secret)
  expect(receiver.verify(body, fields)).toEqual(JSON.parse(body))
  expect(() => new Webhook(older).verify(body, fields)).toThrow('No matching signature')
  expect(() => receiver.verify(body.replace('1', '2').replace('ä', 'a'), fields)).toThrow('No matching signature')
  expect(() => receiver.verify(body, { ...fields, 'webhook-id': 'msg_2' })).toThrow('No matching signature')
  const stale = { ...new WebhookSigner([secret]).sign('msg_1', Date.now() - 600_000, body) }
  expect(() => receiver.verify(body, stale)).toThrow('too old')
})

test('while secrets change, receivers that know one of them are content', () => {
  const fields = sign(secret, older)
  expect(new Webhook(secret).verify(body, fields)).toBeDefined()
  expect(new Webhook(older).verify(body, fields)).toBeDefined()
})

describe('what is no secret is not shown by the error:', () => {
  test.each(['plain words', 'swordfish', 'whsec_', Buffer.alloc(23).toString('base64'), `${older}!`])('%s', (text) => {
    const open = () => new WebhookSigner([secret, text])
    expect(open).toThrow('base64 of at least 24 bytes')
    expect(open).not.toThrow(text === 'whsec_' ? 'secret' : text)
  })
})
