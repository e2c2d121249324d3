/** Holds this process up, as a machine that is too busy does: no timer runs, and nothing is read. */
export function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
