import { bucketTag } from './bucket-tags.ts'

export const defaultPrefix = 'ipfleet'

export interface FleetNamesOptions {
  /** REDIS_PREFIX: letters, digits, dots, dashes. It begins every key and channel. */
  readonly prefix: string
  /** The number of the database: channels are common to all databases of a server, so they carry it. */
  readonly db: number
}

/** What a fleet calls its keys and channels in Redis. Two fleets with different names share nothing. */
export class FleetNames {
  readonly prefix: string
  readonly #channels: string

  constructor({ prefix, db }: FleetNamesOptions) {
    this.prefix = prefix
    this.#channels = `${prefix}:${db}`
  }

  /** `<prefix>:<kind>:{<tag>}`, and `:<rest>`. Keys with the same tag are in one Cluster slot. */
  key(kind: string, tag: string, rest?: string): string {
    const key = `${this.prefix}:${kind}:{${tag}}`
    return rest === undefined ? key : `${key}:${rest}`
  }

  /** `<prefix>:<kind>:{<bucket>}:<subject>`. All kinds of one subject share its bucket. */
  subjectKey(kind: string, subject: string): string {
    return `${this.prefix}:${kind}:{${bucketTag(subject)}}:${subject}`
  }

  /** `<prefix>:<db>:<name>`. */
  channel(name: string): string {
    return `${this.#channels}:${name}`
  }
}
