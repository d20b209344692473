/** Projects: named groups of services of one owner. */
import type { ProjectView } from "@deploy-mcp/domain/commands/Accounts"
import { planned } from "@deploy-mcp/domain/commands/Plan"
import { refuse } from "@deploy-mcp/domain/Failure"
import type { IdempotencyKey, ProjectName } from "@deploy-mcp/domain/model/Names"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import { Effect } from "effect"
import { AccountStore } from "../store/AccountStore.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { countIn, ServiceStore } from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"

/** The part of `Accounts` that is about projects, over the stores that are here. */
export const projectCommands = Effect.gen(function* () {
  const { whole } = yield* Transactions
  const accounts = yield* AccountStore
  const services = yield* ServiceStore
  const idempotency = yield* IdempotencyStore

  return {
    listProjects: Effect.gen(function* () {
      yield* requireScope("services:read")
      const principal = yield* Principal
      const all = yield* accounts.projects(principal.owner)
      const counts = yield* services.counts(principal.owner)
      return all
        .filter(({ id }) => principal.project === null || principal.project === id)
        .map(({ id, name }): ProjectView => ({ name, services: countIn(counts, id) }))
    }),

    ensureProject: Effect.fn("Accounts.ensureProject")(function* (input: {
      readonly name: ProjectName
      readonly idempotencyKey?: IdempotencyKey
    }) {
      yield* requireScope("services:deploy")
      const { owner, project } = yield* Principal
      if (project !== null) {
        return yield* refuse("forbidden", "This key works in one project only.", {
          next: "Use a key that is not limited to a project."
        })
      }
      const { subject, repeated } = yield* idempotency
        .once(
          { owner, command: "ensure_project", key: input.idempotencyKey, request: input.name },
          Effect.gen(function* () {
            const created = yield* accounts.addProject(owner, input.name)
            yield* planned(created ? `creates the project '${input.name}'` : "nothing: it exists")
            return created ? input.name : ""
          })
        )
        .pipe(whole)
      return { name: input.name, created: subject !== "" && !repeated }
    })
  }
})
