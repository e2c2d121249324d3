export * from '@ipfleet/relay/client-answer.ts'
