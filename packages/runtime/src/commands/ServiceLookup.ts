/** From names to rows, always within what the principal's key may see. */
import type { ServiceRef } from "@deploy-mcp/domain/commands/Services"
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import type { ProjectId } from "@deploy-mcp/domain/model/Ids"
import { defaultProject, type ProjectName } from "@deploy-mcp/domain/model/Names"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import { repositoryPath } from "@deploy-mcp/domain/model/Service"
import { Context, Effect, Layer, Option, type Schema } from "effect"
import { AccountStore } from "../store/AccountStore.ts"
import { repositoryOf, type ServiceRow, ServiceStore } from "../store/ServiceStore.ts"

type Command<A> = Effect.Effect<A, CommandError, Principal>

export class ServiceLookup extends Context.Service<
  ServiceLookup,
  {
    /** `default` when none is named; a key limited to one project sees only that. */
    readonly project: (name: ProjectName | undefined) => Command<ProjectId>
    /** One not in the trash; `not_found` names those that are there. */
    readonly service: (ref: ServiceRef) => Command<ServiceRow>
    /**
     * The same one as it is now, in the transaction that ends a wait: `not_found` when it was deleted meanwhile,
     * also if another one has its name by now, and `settings_changed` when it follows another branch.
     */
    readonly again: (row: ServiceRow) => Command<ServiceRow>
    /** What a conflict shows of it: null when there is none. Holds no value of a variable. */
    readonly current: (ref: ServiceRef) => Effect.Effect<Schema.Json, never, Principal>
  }
>()("@deploy-mcp/runtime/ServiceLookup") {
  static readonly layer = Layer.effect(
    ServiceLookup,
    Effect.gen(function* () {
      const accounts = yield* AccountStore
      const services = yield* ServiceStore

      const project = Effect.fnUntraced(function* (name: ProjectName | undefined) {
        const principal = yield* Principal
        if (name === undefined && principal.project !== null) return principal.project
        const found = yield* accounts.project(principal.owner, name ?? defaultProject)
        const hidden = principal.project !== null && Option.getOrNull(found) !== principal.project
        if (Option.isNone(found) || hidden) {
          return yield* refuse(
            "unknown_project",
            `project: there is no project '${name}' for this key.`
          )
        }
        return found.value
      })

      const service = Effect.fnUntraced(function* (ref: ServiceRef) {
        const principal = yield* Principal
        const within = yield* project(ref.project)
        const row = yield* services.find(principal.owner, within, ref.name)
        if (Option.isSome(row)) return row.value
        const near = yield* services.page({
          owner: principal.owner,
          project: within,
          after: null,
          limit: 20
        })
        return yield* refuse("not_found", `name: there is no service '${ref.name}'.`, {
          evidence:
            near.length === 0 ? [] : [`services: ${near.map((other) => other.name).join(", ")}`]
        })
      })

      return {
        project,
        service,
        again: Effect.fnUntraced(function* (row: ServiceRow) {
          const now = yield* services.byStage(row.ownerId, row.stageId)
          if (Option.isNone(now)) {
            return yield* refuse("not_found", `name: '${row.name}' was deleted meanwhile.`)
          }
          if (now.value.branch !== row.branch) {
            return yield* refuse("settings_changed", "Another change came first.", {
              next: "Call again."
            })
          }
          return now.value
        }),
        current: (ref) =>
          service(ref).pipe(
            Effect.map((row) => ({
              name: row.name,
              project: row.projectName,
              repo: repositoryPath(repositoryOf(row)),
              branch: row.branch,
              settings: row.settings,
              revision: row.settingsRevision,
              live_commit: row.liveCommit
            })),
            Effect.orElseSucceed(() => null)
          )
      }
    })
  )
}
