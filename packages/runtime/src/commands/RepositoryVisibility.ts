/**
 * Repositories belong to an owner, keys may be limited to one project of it: such a key has to do with
 * the repositories that a service of its project deploys from, and with those that none deploys from.
 */
import { refuse } from "@deploy-mcp/domain/Failure"
import { Principal, type PrincipalData } from "@deploy-mcp/domain/model/Principal"
import type { RepositoryIdentity } from "@deploy-mcp/domain/model/Service"
import { Effect } from "effect"
import { ServiceStore } from "../store/ServiceStore.ts"

export const isVisible = Effect.fnUntraced(function* (
  { owner, project }: PrincipalData,
  repository: RepositoryIdentity
) {
  if (project === null) return true
  const projects = yield* ServiceStore.use((services) => services.projectsOf(owner, repository))
  return projects.length === 0 || projects.some(({ projectId }) => projectId === project)
})

/** Fails in the same words as for a repository of somebody else. */
export const mustBeVisible = Effect.fnUntraced(function* (repository: RepositoryIdentity) {
  if (yield* isVisible(yield* Principal, repository)) return
  return yield* invisible(repository.name)
})

export const invisible = (ref: string) =>
  refuse("repository_missing", `There is no repository '${ref}' that this key can see.`)
