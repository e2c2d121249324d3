export * from '@ipfleet/relay/passed-fields.ts'
