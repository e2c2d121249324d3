import { bucketTag } from '@ipfleet/redis/bucket-tags.ts'
import type { FleetNames } from '@ipfleet/redis/fleet-names.ts'

/** What the fleet calls what belongs to the load of one subject. */
export interface FlightNames {
  readonly lease: (subject: string) => string
  readonly outcome: (subject: string) => string
  /** The channel that tells of its outcome. */
  readonly landed: (subject: string) => string
  /** What the channels of all subjects begin with; they go on as the key of the lease does from its tag on. */
  readonly landedChannels: string
}

export function flightNames(names: FleetNames): FlightNames {
  const landedChannels = names.channel('landed:')
  return {
    lease: (subject) => names.subjectKey('lease', subject),
    outcome: (subject) => names.subjectKey('outcome', subject),
    landed: (subject) => `${landedChannels}{${bucketTag(subject)}}:${subject}`,
    landedChannels,
  }
}
