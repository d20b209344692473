/**
 * Every crash point: a scenario is lived through once without a fault, then again for each boundary that
 * its journal has, with the end of control there. The boundaries come from the journal, not from a list.
 */
import type { Violation } from "@deploy-mcp/domain/chaos/Invariant"
import { type Lived, liveThrough, type Scenario } from "./Life.ts"

export interface CrashReport {
  /** Boundaries in the journal, or pairs of them. */
  readonly points: number
  /** Lives that came to their crashes. */
  readonly crashed: number
  readonly violations: ReadonlyArray<Violation & { readonly at: string }>
}

/** A crash at each boundary; or, in `pairs`, a second one at each that a life with the first still comes to. */
export const crashEverywhere = async (scenario: Scenario, pairs = false): Promise<CrashReport> => {
  const violations: Array<CrashReport["violations"][number]> = []
  let points = 0
  let crashed = 0
  const lived = async (crashAt: ReadonlyArray<string>, calm: Lived | null) => {
    const life = await liveThrough(scenario, { crashAt }, calm?.end)
    const at = crashAt.join(", then ") || "without a fault"
    violations.push(...life.report.violations.map((one) => ({ ...one, at })))
    return life
  }
  const calm = await lived([], null)
  const crash = async (crashAt: ReadonlyArray<string>) => {
    const life = await lived(crashAt, calm)
    points += 1
    if (life.report.crashes === crashAt.length) crashed += 1
  }
  for (const first of new Set(calm.passed)) {
    if (!pairs) await crash([first])
    else {
      const { passed } = await lived([first], calm)
      for (const second of new Set(passed.slice(passed.indexOf(first) + 1))) {
        await crash([first, second])
      }
    }
  }
  return { points, crashed, violations }
}
