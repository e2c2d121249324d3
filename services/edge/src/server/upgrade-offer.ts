export * from '@ipfleet/relay/upgrade-offer.ts'
