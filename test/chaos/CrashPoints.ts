/**
 * Every crash point: a scenario is lived through once without a fault, then again for each boundary that
 * its journal has, with the end of control there. The boundaries come from the journal, not from a list.
 */
import type { Violation } from "@deploy-mcp/domain/chaos/Invariant"
import { liveThrough, type Scenario } from "./Life.ts"

export interface CrashReport {
  /** Boundaries in the journal of the scenario without a fault. */
  readonly points: number
  /** Lives that came to their crashes. */
  readonly crashed: number
  readonly violations: ReadonlyArray<Violation & { readonly at: string }>
}

/** A crash at each boundary; or, in `pairs`, a second one at each that comes after it. */
export const crashEverywhere = async (scenario: Scenario, pairs = false): Promise<CrashReport> => {
  const calm = await liveThrough(scenario)
  const points = [...new Set(calm.passed)]
  const plans = pairs
    ? points.flatMap((first, at) => points.slice(at).map((second) => [first, second]))
    : points.map((point) => [point])
  const violations = calm.report.violations.map((one) => ({ ...one, at: "without a fault" }))
  let crashed = 0
  for (const plan of plans) {
    const { report } = await liveThrough(scenario, { crashAt: plan }, calm.end)
    if (report.crashes === plan.length) crashed += 1
    violations.push(...report.violations.map((one) => ({ ...one, at: plan.join(", then ") })))
  }
  return { points: plans.length, crashed, violations }
}
