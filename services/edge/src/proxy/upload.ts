export * from '@ipfleet/relay/upload.ts'
