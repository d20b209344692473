/**
 * Every crash point: a scenario is lived through once without a fault, then again for each boundary that
 * its journal has, with the end of control there. The boundaries come from the journal, not from a list.
 */
import type { Violation } from "@deploy-mcp/domain/chaos/Invariants"
import { liveThrough, type Scenario } from "./Life.ts"
import { type Operation, type Page, serviceNames } from "./Operations.ts"

const [service] = serviceNames
const push = (page: Page): Operation => ({ kind: "push", service, page, hints: 1 })
const deployed: ReadonlyArray<Operation> = [push(0), { kind: "create", service }]
/** Another value is another build. */
const set = (value: string): Operation => ({
  kind: "update",
  service,
  change: { variable: "MODE", value }
})
const aMinute: Operation = { kind: "pass", millis: 70_000 }

/** Each workflow that exists, on each way that it can take. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  create: { before: [], operations: deployed },
  redeploy: { before: deployed, operations: [{ kind: "redeploy", service }] },
  push: { before: deployed, operations: [push(1)] },
  rollback: {
    before: [...deployed, push(1)],
    operations: [{ kind: "rollback", service, to: null }]
  },
  update: { before: deployed, operations: [set("a")] },
  "failed build": { before: deployed, operations: [push("build-fails")] },
  "failed start": { before: deployed, operations: [push("never-healthy")] },
  collection: {
    before: [...deployed, ...["a", "b", "c", "d", "e"].map(set)],
    operations: ["f", "g"].map(set)
  },
  delete: { before: deployed, operations: [{ kind: "delete", service }] },
  restore: {
    before: [...deployed, { kind: "delete", service }],
    operations: [{ kind: "restore", service }]
  },
  purge: { before: [...deployed, { kind: "delete", service }], operations: [aMinute] }
}

export interface CrashReport {
  /** Boundaries in the journal of the scenario without a fault. */
  readonly points: number
  /** Lives that came to their crashes. */
  readonly crashed: number
  readonly violations: ReadonlyArray<Violation & { readonly at: string }>
}

/** A crash at each boundary; or, in `pairs`, a second one at each that comes after it. */
export const crashEverywhere = async (scenario: Scenario, pairs = false): Promise<CrashReport> => {
  const calm = await liveThrough(scenario, [], null)
  const points = [...new Set(calm.passed)]
  const plans = pairs
    ? points.flatMap((first, at) => points.slice(at).map((second) => [first, second]))
    : points.map((point) => [point])
  const violations = calm.report.violations.map((one) => ({ ...one, at: "without a fault" }))
  let crashed = 0
  for (const plan of plans) {
    const { report } = await liveThrough(scenario, plan, calm.end)
    if (report.crashes === plan.length) crashed += 1
    violations.push(...report.violations.map((one) => ({ ...one, at: plan.join(", then ") })))
  }
  return { points: plans.length, crashed, violations }
}
