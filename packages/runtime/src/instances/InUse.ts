/** Rows keep the names of the instances that they use: one that is used cannot be taken away. */
import { Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Migrations from "../store/Migrations.ts"
import { EveryOwner, ownedRows } from "../store/Owned.ts"
import * as Rows from "../store/Rows.ts"
import type { ServiceWord } from "./Builtin.ts"
import type { Named } from "./Choice.ts"
import { placeOf, refused } from "./SettingsFile.ts"

const Use = Schema.Struct({ name: Schema.String, used: Schema.Int, trashed: Schema.Int })

/** Fails with one line for each instance that rows name and `there` has not. */
export const layer = (file: string, there: Readonly<Record<"git" | "build" | "deploy", Named>>) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const { from } = ownedRows(sql)(yield* EveryOwner)
      const uses = {
        git: yield* Rows.all(Use)(sql`SELECT git_instance AS name,
          CAST(COUNT(*) AS INTEGER) AS used, 0 AS trashed FROM ${from("repositories")} GROUP BY git_instance`),
        build: yield* Rows.all(Use)(sql`SELECT build_instance AS name,
          CAST(COUNT(*) AS INTEGER) AS used, CAST(COUNT(trashed_at) AS INTEGER) AS trashed
          FROM ${from("services")} GROUP BY build_instance`),
        deploy: yield* Rows.all(Use)(sql`SELECT deploy_instance AS name,
          CAST(COUNT(*) AS INTEGER) AS used, CAST(COUNT(trashed_at) AS INTEGER) AS trashed
          FROM ${from("services")} GROUP BY deploy_instance`)
      }
      const missing = (["git", "build", "deploy"] as const).flatMap((service) =>
        uses[service]
          .filter(({ name }) => there[service].instances.every((one) => one.name !== name))
          .map((use) => sentence(file, service, use))
      )
      if (missing.length > 0) return yield* refused(missing.join("\n"))
    })
  ).pipe(Layer.provide(Migrations.layer))

const sentence = (file: string, service: ServiceWord, { name, used, trashed }: typeof Use.Type) => {
  const [one, many] = service === "git" ? ["repository", "repositories"] : ["service", "services"]
  const who = used === 1 ? `1 ${one} uses` : `${used} ${many} use`
  const where = trashed === 0 ? "" : ` (${trashed} in the trash)`
  const place = placeOf({ service, name })
  return `${file}: ${place} is not there any more, but ${who} it${where}. Put ${place} back; take it away when nothing uses it, which includes the trash.`
}
