/** Something that a provider keeps between its calls, by its id, and since when. */
export interface Kept<Id> {
  readonly id: Id
  /** Milliseconds since 1970. What is younger than a moment may still be in the making. */
  readonly at: number
}
