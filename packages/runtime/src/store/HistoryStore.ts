/**
 * What may be forgotten once it is old: deployments that nothing leads back to, and older values of
 * variables. What qualifies once does so for ever, so each look may be acted on a while later.
 */
import { DeploymentId, VariableId } from "@deploy-mcp/domain/model/Ids"
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { EveryOwner, ownedRows } from "./Owned.ts"
import * as Rows from "./Rows.ts"

export const PastDeployment = Schema.Struct({
  id: DeploymentId,
  finishedAt: Schema.Int
})
export type PastDeployment = typeof PastDeployment.Type

export class HistoryStore extends Context.Service<HistoryStore>()(
  "@deploy-mcp/runtime/HistoryStore",
  {
    make: Effect.gen(function* () {
      const sql = yield* SqlClient
      const { from, remove } = ownedRows(sql)(yield* EveryOwner)

      const idsOf = <Id extends string>(schema: Schema.Codec<Id, string>) =>
        Rows.all(Schema.Struct({ id: schema }))

      return {
        /**
         * Deployments that ended before `time` (milliseconds since 1970), the first that ended first. Not
         * among them: the newest of a stage, what made something that is there still, what is being gone
         * back to, and what an idempotency key answers with. `after`: what the page before ended with.
         */
        past: (time: number, after: PastDeployment | null, limit: number) =>
          Rows.all(
            PastDeployment
          )(sql`SELECT deployments.id, deployments.finished_at FROM ${from("deployments")}
              JOIN ${from("stages")} ON stages.id = deployments.stage_id
              WHERE deployments.finished_at < ${time}
                AND deployments.finished_at >= ${after?.finishedAt ?? 0}
                AND (deployments.finished_at > ${after?.finishedAt ?? 0} OR deployments.id > ${after?.id ?? ""})
                AND deployments.status NOT IN ('queued', 'running')
                AND deployments.number < stages.deployments
                AND (deployments.status = 'committed' OR deployments.artifact_key IS NULL)
                AND NOT EXISTS (SELECT 1 FROM ${from("releases")}
                  WHERE releases.deployment_id = deployments.id AND (releases.state <> 'collected'
                    OR releases.id IN (SELECT source_release_id FROM ${from("deployments")} AS open
                      WHERE open.status IN ('queued', 'running') AND source_release_id IS NOT NULL)))
                AND deployments.id NOT IN (SELECT subject FROM ${from("idempotency")})
              ORDER BY deployments.finished_at, deployments.id LIMIT ${limit}`),

        /** Those of them that there are. */
        known: (deployments: ReadonlyArray<string>) =>
          deployments.length === 0
            ? Effect.succeed([])
            : Effect.map(
                idsOf(DeploymentId)(
                  sql`SELECT id FROM ${from("deployments")} WHERE ${sql.in("id", deployments)}`
                ),
                (rows) => rows.map(({ id }) => id)
              ),

        /** Run it inside a transaction. */
        forget: Effect.fnUntraced(function* (deployments: ReadonlyArray<DeploymentId>) {
          if (deployments.length === 0) return
          const theirs = sql.in("deployment_id", deployments)
          yield* Rows.write(sql`${remove("deployment_phases")} AND ${theirs}`)
          yield* Rows.write(sql`${remove("deployment_retries")} AND ${theirs}`)
          yield* Rows.write(sql`${remove("releases")} AND ${theirs}`)
          yield* Rows.write(sql`${remove("deployments")} AND ${sql.in("id", deployments)}`)
        }),

        /** Up to `limit` values that were replaced before `time` and that no release holds; how many. */
        forgetVariables: (time: number, limit: number) =>
          Effect.map(
            idsOf(
              VariableId
            )(sql`${remove("variables")} AND id IN (SELECT id FROM ${from("variables")}
              WHERE replaced_at < ${time} AND NOT EXISTS (SELECT 1 FROM ${from("releases")}
                WHERE releases.stage_id = variables.stage_id
                  AND releases.variables LIKE '%' || variables.id || '%')
              LIMIT ${limit}) RETURNING id`),
            (rows) => rows.length
          ),

        /** Some of the pages that hold nothing go back to the disk. */
        giveBack: sql.onDialectOrElse({
          pg: () => Effect.void,
          orElse: () => Rows.write(sql`PRAGMA incremental_vacuum(256)`)
        }),

        /** Pages that hold nothing; 0 where the database sees to them by itself. */
        emptyPages: sql.onDialectOrElse({
          pg: () => Effect.succeed(0),
          orElse: () =>
            Effect.map(
              Rows.one(Schema.Struct({ pages: Schema.Int }))(
                sql`SELECT CASE WHEN auto_vacuum = 2 THEN freelist_count ELSE 0 END AS pages
                  FROM pragma_auto_vacuum(), pragma_freelist_count()`
              ),
              ({ pages }) => pages
            )
        })
      }
    })
  }
) {
  static readonly layer = Layer.effect(HistoryStore, HistoryStore.make)
}
