/**
 * The platform's workflow engine alone: `EngineOurs.ts <database>`, a Postgres address or the path of a
 * SQLite file.
 */
import { engineOn } from "@deploy-mcp/runtime/compositions/core"
import * as Postgres from "@deploy-mcp/runtime/store/Postgres"
import * as Sqlite from "@deploy-mcp/runtime/store/Sqlite"
import { Effect, Layer, Redacted, Schema } from "effect"
import * as Activity from "effect/workflow/Activity"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { serveRounds, steps } from "./EngineRig.ts"

const FiveSteps = Workflow.make("FiveSteps", {
  payload: { id: Schema.String },
  success: Schema.Int,
  idempotencyKey: ({ id }) => id
})

const step = (number: number) =>
  Activity.make({
    name: `step-${number}`,
    success: Schema.Int,
    execute: Effect.succeed(number)
  })

const body = FiveSteps.toLayer(() =>
  Effect.map(Effect.forEach(steps, step), (numbers) => numbers.reduce((sum, one) => sum + one))
)

const serve = Effect.gen(function* () {
  const engine = yield* WorkflowEngine
  const context = yield* Effect.context<never>()
  const run = (ids: ReadonlyArray<string>) =>
    Effect.runPromiseWith(context)(
      Effect.forEach(ids, (id) => engine.execute(FiveSteps, { executionId: id, payload: { id } }), {
        concurrency: "unbounded",
        discard: true
      })
    )
  yield* Effect.promise(() => serveRounds({ run }))
})

const [database = ""] = process.argv.slice(2)
const client = database.startsWith("postgres:")
  ? Layer.orDie(Postgres.layer(Redacted.make(database)))
  : Sqlite.layer(database)
const program = serve.pipe(
  Effect.provide(body.pipe(Layer.provideMerge(engineOn()), Layer.provide(client)))
)
await Effect.runPromise(program)
process.exit(0)
