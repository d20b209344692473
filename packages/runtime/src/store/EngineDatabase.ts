/**
 * The database as the workflow engine asks for it. It has its own rules about locks, so it does not
 * take part in those of our stores; where nothing is provided both use one client.
 */
import { Context, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

export class EngineDatabase extends Context.Service<EngineDatabase, SqlClient>()(
  "@deploy-mcp/runtime/EngineDatabase"
) {}

/** The client for what is built on top of this layer. */
export const layer = Layer.effect(
  SqlClient,
  Effect.gen(function* () {
    const own = yield* Effect.serviceOption(EngineDatabase)
    return Option.isSome(own) ? own.value : yield* SqlClient
  })
)
