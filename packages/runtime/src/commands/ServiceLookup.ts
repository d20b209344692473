/** From names to rows, always within what the principal's key may see. */
import type { ServiceRef } from "@deploy-mcp/domain/commands/Services"
import { refuse } from "@deploy-mcp/domain/Failure"
import { defaultProject, type ProjectName } from "@deploy-mcp/domain/model/Names"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import { Effect, Option } from "effect"
import { AccountStore } from "../store/AccountStore.ts"
import { ServiceStore } from "../store/ServiceStore.ts"

/** The project by name, `default` when none is named; a key limited to one project sees only that. */
export const projectOf = Effect.fnUntraced(function* (name: ProjectName | undefined) {
  const principal = yield* Principal
  const accounts = yield* AccountStore
  if (name === undefined && principal.project !== null) return principal.project
  const project = yield* accounts.project(principal.owner, name ?? defaultProject)
  if (
    Option.isNone(project) ||
    (principal.project !== null && principal.project !== project.value)
  ) {
    return yield* refuse("unknown_project", `project: there is no project '${name}' for this key.`)
  }
  return project.value
})

export const findService = Effect.fnUntraced(function* (ref: ServiceRef) {
  const principal = yield* Principal
  const services = yield* ServiceStore
  const project = yield* projectOf(ref.project)
  const row = yield* services.find(principal.owner, project, ref.name)
  if (Option.isSome(row)) return row.value
  const near = (yield* services.list(principal.owner, project)).slice(0, 20)
  return yield* refuse("not_found", `name: there is no service '${ref.name}'.`, {
    evidence: near.length === 0 ? [] : [`services: ${near.map((other) => other.name).join(", ")}`]
  })
})
