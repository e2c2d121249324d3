/** Of one look-up in the average. */
const weight = 1 / 8
/** Where more look-ups than that find nothing, most requests gain by it, and few leases are given back. */
const minMissShare = 0.8

/** Whether the shared tier will have no answer, by how the last look-ups for single queries went. */
export class MissForecast {
  #missShare = 0

  get isMiss(): boolean {
    return this.#missShare > minMissShare
  }

  note(isMiss: boolean): void {
    this.#missShare += weight * (Number(isMiss) - this.#missShare)
  }
}
