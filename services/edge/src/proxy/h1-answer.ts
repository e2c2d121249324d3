export * from '@ipfleet/relay/h1-answer.ts'
