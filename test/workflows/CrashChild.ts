/**
 * One life of a control plane on a home and a database, as a process that can be killed: deploys A, then B, and ends
 * itself with SIGKILL at the boundary it is told. Without one it finishes what it finds and reports.
 */
import { execPath } from "node:process"
import { BuildWorld } from "@deploy-mcp/providers/build/memory/BuildMemory"
import { testing } from "@deploy-mcp/runtime/compositions/testing"
import { Effect, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { around, type StepName, type When } from "./Boundary.ts"
import { scene } from "./Scene.ts"

const [home = "", databaseUrl = "", step, when] = process.argv.slice(2)
let armed = false

const die = () =>
  Effect.sync(() => {
    if (armed) process.kill(process.pid, "SIGKILL")
  })

/** The doubles forget the source of an earlier life, so steps wait until it is there again. */
let sourceIsThere = () => {}
const source = new Promise<void>((resolve) => {
  sourceIsThere = resolve
})

const life = Effect.gen(function* () {
  const it = yield* scene
  const sql = yield* SqlClient
  const before = yield* sql`SELECT id FROM services`
  if (before.length === 0) {
    it.commit({ page: "A" })
    sourceIsThere()
    yield* it.create()
    yield* it.settled(undefined, 1)
  }
  armed = true
  it.commit({ page: "B" })
  sourceIsThere()
  yield* it.hint()
  return yield* report(it)
})

/** What is left once all is quiet, for the test to look at. */
const report = Effect.fnUntraced(function* (it: Effect.Success<typeof scene>) {
  const sql = yield* SqlClient
  const { builds } = yield* BuildWorld
  yield* Effect.repeat(
    Effect.sync(() => it.node.running.size),
    {
      schedule: Schedule.spaced("5 millis"),
      until: (running) => running === 1
    }
  )
  const deployments = yield* it.list()
  const live = yield* sql<{ live: string }>`SELECT live_release_id AS live FROM stages`
  const journal = yield* sql<{ payload: string }>`SELECT payload FROM cluster_messages
    WHERE entity_type = 'Workflow/DeployService' AND tag = 'activity'`
  return {
    node: execPath,
    statuses: deployments.map((deployment) => deployment.status),
    routes: [...it.node.stages.values()].map((stage) => stage.route),
    running: [...it.node.running.keys()],
    live: live.map((row) => row.live),
    builds: [...builds.values()],
    steps: [
      ...new Set(journal.map((row) => /"name":"(\w+)"/.exec(row.payload)?.[1] ?? row.payload))
    ]
  }
})

const between = (real: Parameters<typeof around>[0]) => {
  const waiting = {
    ...real,
    planBuild: (...args: Parameters<typeof real.planBuild>) =>
      Effect.andThen(
        Effect.promise(() => source),
        real.planBuild(...args)
      ),
    buildArtifact: (...args: Parameters<typeof real.buildArtifact>) =>
      Effect.andThen(
        Effect.promise(() => source),
        real.buildArtifact(...args)
      )
  }
  return step === undefined ? waiting : around(waiting, step as StepName, when as When, die)
}
const options = { between, ...(databaseUrl === "" ? {} : { databaseUrl }) }

Effect.runPromise(life.pipe(Effect.provide(testing(home, options)))).then(
  (result) => {
    console.log(`REPORT ${JSON.stringify(result)}`)
    process.exit(0)
  },
  (error: unknown) => {
    console.error(error)
    process.exit(1)
  }
)
