/** The fleet does not do what it is asked, and will not; with a message for the user, which holds no secret. */
export class FleetFault extends Error {
  override readonly name = 'FleetFault'
}
