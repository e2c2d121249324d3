export * from '@ipfleet/relay/connection-limits.ts'
