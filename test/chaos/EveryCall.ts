/**
 * One thing goes wrong, everywhere it can: a scenario is lived through once without a fault, then again for
 * each call to a provider and each commit that it makes, in each way that it can fail; nothing else does.
 * After https://www.sqlite.org/testing.html, where the Nth allocation or write fails.
 */
import type { Verdict } from "@deploy-mcp/domain/chaos/Faults"
import type { Violation } from "@deploy-mcp/domain/chaos/Invariant"
import { liveThrough, type Plan, type Scenario } from "./Life.ts"
import type { Operation } from "./Operations.ts"
import { rivals, scenarios } from "./Scenarios.ts"

/** A life that is to be lived, in words, and how it should end; null: as it may. */
interface Case {
  readonly at: string
  readonly plan: Plan
  readonly end: ReadonlyArray<string> | null
}

interface CallReport {
  readonly lives: number
  readonly violations: ReadonlyArray<Violation & { readonly at: string }>
}

const crashes = [
  { kind: "crash", when: "after" },
  { kind: "crash", when: "before" }
] as const
const faults: ReadonlyArray<Verdict> = [
  ...crashes,
  { kind: "error", when: "before" },
  { kind: "error", when: "after" },
  { kind: "twice" },
  { kind: "partial" }
]
const commit = "database.commit"

/** Each call and each commit of the scenario, in each way. */
async function* failures(scenario: Scenario): AsyncGenerator<Case> {
  const calm = await liveThrough(scenario)
  yield { at: "without a fault", plan: {}, end: null }
  for (const [call, name] of calm.called) {
    for (const verdict of name === commit ? crashes : faults) {
      const at = `${Object.values(verdict).join(" ")} ${name}, call ${call}`
      yield { at, plan: { fault: { call, verdict } }, end: calm.end }
      if (verdict !== crashes[0]) continue
      const plan = { fault: { call, verdict }, hangUp: true }
      yield { at: `${at}, and nobody asks again`, plan, end: null }
    }
  }
}

/**
 * A caller asks for something else as each call is made, and the two take turns in a few ways; then again,
 * with the end of control after one of the calls that follow.
 */
async function* interruptions(scenario: Scenario, operation: Operation): AsyncGenerator<Case> {
  const calm = await liveThrough(scenario)
  for (const [call, name] of calm.called) {
    const meanwhile = { call, operation }
    const at = `asked at ${name}, call ${call}`
    yield { at, plan: { meanwhile }, end: null }
    for (const turns of ["1", "2", "3"]) {
      yield { at: `${at}, turns ${turns}`, plan: { meanwhile, turns }, end: null }
    }
    for (const place of [call + 1, call + 2, call + 3]) {
      const plan = { meanwhile, fault: { call: place, verdict: crashes[0] } }
      yield { at: `${at}, crash after call ${place}`, plan, end: null }
    }
  }
}

interface Manner {
  /** The first life that breaks an invariant is the last. */
  readonly untilBroken?: boolean
  /** One life in so many is lived; absent: each. */
  readonly oneIn?: number
}

export const liveThroughAll = async (
  { cases, scenario }: Variations,
  { oneIn = 1, untilBroken = false }: Manner = {}
): Promise<CallReport> => {
  let seen = 0
  let lives = 0
  const violations: Array<CallReport["violations"][number]> = []
  for await (const { at, end, plan } of cases) {
    seen += 1
    if (seen % oneIn !== 0) continue
    const { report } = await liveThrough(scenario, plan, end)
    lives += 1
    violations.push(...report.violations.map((one) => ({ ...one, at })))
    if (untilBroken && violations.length > 0) break
  }
  return { lives, violations }
}

interface Variations {
  readonly scenario: Scenario
  readonly cases: AsyncIterable<Case>
}

/** All that can go wrong with the scenarios, by what it is called. */
export const variations = (): Readonly<Record<string, Variations>> =>
  Object.fromEntries([
    ...Object.entries(scenarios).map(([name, scenario]) => [
      name,
      { scenario, cases: failures(scenario) }
    ]),
    ...Object.entries(rivals).map(([name, operation]) => [
      `push and ${name}`,
      { scenario: scenarios.push, cases: interruptions(scenarios.push, operation) }
    ])
  ])
