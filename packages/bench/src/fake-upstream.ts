import { fileURLToPath } from 'node:url'

/** The fake IPinfo as a process of its own, whose CPU time is not its measurer's. */
export const fakeEntry = fileURLToPath(import.meta.resolve('@ipfleet/testing/fake-ipinfo-main.ts'))
