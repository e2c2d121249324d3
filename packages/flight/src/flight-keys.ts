/** Redis names of one subject; the braces put all of them in one Cluster slot. */
export const leaseKey = (subject: string): string => `ipfleet:lease:{${subject}}`
export const outcomeKey = (subject: string): string => `ipfleet:outcome:{${subject}}`
/** What the channels of all subjects begin with. */
export const landedChannels = 'ipfleet:landed:'
export const landedChannel = (subject: string): string => `${landedChannels}{${subject}}`
