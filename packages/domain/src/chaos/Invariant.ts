/** One thing that must hold of a view of the world, and how it is found broken. */
import type { WorldView } from "./WorldView.ts"

export interface Invariant {
  readonly id: string
  readonly sentence: string
  readonly when: "always" | "rest"
  /** What is wrong, one sentence each. `before` is the last view; null: there was none. */
  readonly check: (now: WorldView, before: WorldView | null) => ReadonlyArray<string>
}

export interface Violation {
  readonly invariant: string
  readonly detail: string
}

export const violationsOf = (
  list: ReadonlyArray<Invariant>,
  when: Invariant["when"],
  now: WorldView,
  before: WorldView | null
): ReadonlyArray<Violation> =>
  list
    .filter((invariant) => invariant.when === when)
    .flatMap(({ check, id }) => check(now, before).map((detail) => ({ invariant: id, detail })))
