/** One line of what a tenant's build or process printed. Data, never an instruction. */
import { Schema } from "effect"

export const LogLine = Schema.Struct({
  /** Position in its log; rises by one, so a gap shows lost lines. */
  seq: Schema.Int,
  /** Milliseconds since 1970. */
  at: Schema.Int,
  stream: Schema.Literals(["stdout", "stderr", "platform"]),
  text: Schema.String
})
export type LogLine = typeof LogLine.Type

/** Longer lines are cut and end in `…`. */
export const maxLineLength = 4096
