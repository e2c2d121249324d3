export * from '@ipfleet/relay/stall-watch.ts'
