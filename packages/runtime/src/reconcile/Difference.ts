/** One thing in which the world and the rows, or two rows, do not agree. */
import type { Effect } from "effect"

export type DifferenceKind =
  | "node"
  | "work_directory"
  | "artifact"
  | "build_log"
  | "repository"
  | "candidate"
  | "live_release"
  | "removal"
  | "workflow"

export interface Difference {
  readonly kind: DifferenceKind
  /** With the kind its name: what is found twice under it is one difference. */
  readonly subject: string
  /** What is wrong, for whoever reads the log. */
  readonly sentence: string
  /** What is done about it, as `it is removed`; or by whom, when nothing may be done here. */
  readonly remedy: string
  /** Null: nothing may be done without a person. */
  readonly mend: Effect.Effect<void> | null
}
