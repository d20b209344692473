/**
 * `npm run chaos [-- --seeds N] [--from N] [--trace SEED]`: simulated lives one after the other. A
 * seed that breaks an invariant is printed, and is a regression once it is named in regressions.json.
 */
import { parseArgs } from "node:util"
import { live } from "./Life.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "20000" },
    from: { type: "string", default: "0" },
    trace: { type: "string" }
  }
})

const many = async (from: number, count: number) => {
  const totals = { seeds: 0, deployments: 0, crashes: 0, broken: 0 }
  const began = process.cpuUsage()
  for (let seed = from; seed < from + count; seed += 1) {
    const { crashes, deployments, violations } = await live(`${seed}`)
    totals.seeds += 1
    totals.deployments += deployments
    totals.crashes += crashes
    if (violations.length === 0) continue
    totals.broken += 1
    for (const { detail, invariant } of violations) {
      console.log(`seed ${seed} breaks ${invariant}: ${detail}`)
    }
  }
  const { system, user } = process.cpuUsage(began)
  const seconds = (system + user) / 1e6
  console.log(
    JSON.stringify({
      ...totals,
      cpuSeconds: Math.round(seconds),
      seedsPerSecondAndCore: Number((totals.seeds / seconds).toFixed(1)),
      deploymentsPerSecondAndCore: Number((totals.deployments / seconds).toFixed(1))
    })
  )
  return totals.broken
}

if (values.trace === undefined) {
  process.exitCode = (await many(Number(values.from), Number(values.seeds))) === 0 ? 0 : 1
} else {
  const { trace, violations } = await live(values.trace)
  console.log(trace.join("\n"))
  console.log(violations)
  process.exitCode = violations.length === 0 ? 0 : 1
}
