/** What the last comparison of the world with the rows came to, as it is noted in the home. */
import { Schema } from "effect"

export const Reconciled = Schema.Struct({
  /** Milliseconds since 1970. */
  at: Schema.Int,
  differences: Schema.Array(
    Schema.Struct({
      kind: Schema.String,
      sentence: Schema.String,
      /** `left`: a person has to decide; `failed`: it is tried again. */
      outcome: Schema.Literals(["mended", "left", "failed"])
    })
  )
})
export type Reconciled = typeof Reconciled.Type
