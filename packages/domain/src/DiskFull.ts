/** Why something could not be written down: the disk has no room. Below other errors, as their `cause`. */
export class DiskFull extends Error {
  override readonly name = "DiskFull"

  /** Whether one is the reason of `error`, however deep. */
  static isBehind(error: unknown): boolean {
    if (error instanceof DiskFull) return true
    return error instanceof Error && DiskFull.isBehind(error.cause)
  }
}
