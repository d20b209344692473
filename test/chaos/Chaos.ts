/**
 * `npm run chaos`: what tries to break the platform; see `usage` below, and the modules that it names for how. A
 * seed that breaks an invariant is printed, and is a regression once it is named in regressions.json. Of `--first`,
 * which mutants are asked with, the cases of EveryCall.ts and lives end with the first that breaks.
 */
import { parseArgs } from "node:util"
import { crashEverywhere } from "./CrashPoints.ts"
import { liveThroughAll, variations } from "./EveryCall.ts"
import { live } from "./Life.ts"
import { type Lives, liveAll, liveOnAllCores, tellBroken } from "./Lives.ts"
import { examineAll } from "./Mutants.ts"
import { addToReport, type ChaosReport } from "./Report.ts"
import { scenarios } from "./Scenarios.ts"

const usage = `npm run chaos [-- <options>]
  --seeds N --from N    so many simulated lives, from this seed on; 20000 from 0
  --seeds N --times N   each of them so often, to see that it tells the same story
  --trace SEED          what happens in the life of one seed
  --calls               each call of each scenario fails once, or is the last one
  --crash-points        control ends at each boundary of each workflow's journal
  --mutants             whether bugs are noticed; --only WORD: those with this word in their name
  --kills N             kill -9 of the control of a started platform under pushes
  --takeovers N         two platforms on one Postgres, of which the acting one is killed or frozen
  --away SECONDS        nobody is told that control is away
  --report              after one of these: puts what came of it into docs/chaos.json`

const refuse = (why: string): never => {
  console.error(`chaos: ${why}\n\n${usage}`)
  process.exit(2)
}

const read = () => {
  try {
    return parseArgs({
      options: {
        seeds: { type: "string", default: "20000" },
        from: { type: "string", default: "0" },
        first: { type: "boolean", default: false },
        "crash-points": { type: "boolean", default: false },
        calls: { type: "boolean", default: false },
        mutants: { type: "boolean", default: false },
        only: { type: "string", default: "" },
        report: { type: "boolean", default: false },
        times: { type: "string", default: "1" },
        trace: { type: "string" },
        help: { type: "boolean", default: false }
      }
    }).values
  } catch (cause) {
    return refuse(cause instanceof Error ? cause.message : String(cause))
  }
}

const values = read()

const wholeNumber = (name: "seeds" | "from" | "times"): number =>
  /^\d+$/u.test(values[name])
    ? Number(values[name])
    : refuse(`--${name} takes a whole number, not '${values[name]}'`)

const many = async (from: number, count: number) => {
  const { cpuSeconds, ...counts } = await liveOnAllCores(
    import.meta.filename,
    from,
    count,
    tellSoFar
  )
  const deploymentsPerSecondAndCore = Number((counts.deployments / cpuSeconds).toFixed(1))
  keep({ lives: { ...counts, deploymentsPerSecondAndCore } })
  return counts.broken === 0
}

const tellSoFar = ({ cpuSeconds, ...counts }: Lives) =>
  console.log(JSON.stringify({ ...counts, cpuSeconds: Math.round(cpuSeconds) }))

/** Whether each seed tells one story however often it is lived. */
const sameEachTime = async (from: number, count: number, times: number) => {
  let unequal = 0
  for (let seed = from; seed < from + count; seed += 1) {
    const { hash } = await live(`${seed}`)
    for (let time = 1; time < times; time += 1) {
      const again = await live(`${seed}`)
      if (again.hash === hash) continue
      unequal += 1
      console.log(`seed ${seed} tells another story the ${time + 1}. time`)
    }
  }
  const repeats = { seeds: count, times, unequal }
  console.log(JSON.stringify(repeats))
  keep({ repeats })
  return unequal === 0
}

/** What breaks most bugs is tried first: some of the cases, some seeds, then all of both. */
const untilBroken = async (count: number) => {
  const some = Math.min(count, 60)
  return (
    (await holdsInCases(11)) &&
    (await allHold(0, some)) &&
    (await holdsInCases(1)) &&
    (await allHold(some, count - some))
  )
}

const allHold = async (from: number, count: number) =>
  (await liveAll(from, count, true)).broken === 0

const holdsInCases = async (oneIn: number) => {
  for (const [name, variation] of Object.entries(variations())) {
    const { violations } = await liveThroughAll(variation, { untilBroken: true, oneIn })
    for (const one of violations) tellBroken(`${name}, ${one.at}`, [one])
    if (violations.length > 0) return false
  }
  return true
}

/** Singly for every scenario, in pairs for those that build and those that do not. */
const everyCrashPoint = async () => {
  const found: Array<NonNullable<ChaosReport["crashPoints"]>[number]> = []
  for (const [scenario, plan] of Object.entries(scenarios)) {
    for (const crashes of ["create", "redeploy"].includes(scenario)
      ? ([1, 2] as const)
      : ([1] as const)) {
      const { violations, ...counts } = await crashEverywhere(plan, crashes === 2)
      for (const one of violations) tellBroken(`${scenario}, a crash at ${one.at}`, [one])
      found.push({ scenario, crashes, ...counts, violations: violations.length })
      console.log(JSON.stringify(found.at(-1)))
    }
  }
  keep({ crashPoints: found })
  return found.every(({ crashed, points, violations }) => crashed === points && violations === 0)
}

const everyCall = async () => {
  const found: Array<NonNullable<ChaosReport["calls"]>[number]> = []
  for (const [scenario, variation] of Object.entries(variations())) {
    const { lives, violations } = await liveThroughAll(variation)
    for (const one of violations) tellBroken(`${scenario}, ${one.at}`, [one])
    found.push({ scenario, lives, violations: violations.length })
    console.log(JSON.stringify(found.at(-1)))
  }
  keep({ calls: found })
  return found.every(({ violations }) => violations === 0)
}

const keep = (found: ChaosReport) => {
  if (values.report) addToReport(found)
}

const tell = async (seed: string) => {
  const { trace, violations } = await live(seed)
  console.log(trace.join("\n"))
  console.log(violations)
  return violations.length === 0
}

const run = () => {
  if (values.mutants) return examineAll(keep, values.only)
  if (values["crash-points"]) return everyCrashPoint()
  if (values.calls) return everyCall()
  if (values.trace !== undefined) return tell(values.trace)
  if (values.first) return untilBroken(wholeNumber("seeds"))
  const [from, count, times] = [wholeNumber("from"), wholeNumber("seeds"), wholeNumber("times")]
  return times > 1 ? sameEachTime(from, count, times) : many(from, count)
}

// What it has started ends with it.
process.once("SIGTERM", () => process.exit(143))
if (values.help) console.log(usage)
else process.exitCode = (await run()) ? 0 : 1
