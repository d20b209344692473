/** DBOS as the peer of our workflow engine: the same five steps, `EngineDbos.ts <Postgres address>`. */
import { DBOS } from "@dbos-inc/dbos-sdk"
import { serveRounds, steps } from "./EngineRig.ts"

const fiveSteps = DBOS.registerWorkflow(
  async () => {
    let sum = 0
    for (const number of steps) {
      sum += await DBOS.runStep(async () => number, { name: `step-${number}` })
    }
    return sum
  },
  { name: "fiveSteps" }
)

const [systemDatabaseUrl = ""] = process.argv.slice(2)
DBOS.setConfig({
  name: "bench",
  systemDatabaseUrl,
  logLevel: "error",
  runAdminServer: false,
  systemDatabasePoolSize: 10
})
await DBOS.launch()
await serveRounds({
  run: (ids) =>
    Promise.all(
      ids.map(async (workflowID) => {
        const handle = await DBOS.startWorkflow(fiveSteps, { workflowID })()
        return handle.getResult()
      })
    )
})
await DBOS.shutdown()
process.exit(0)
