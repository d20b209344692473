/** Repositories on the built-in host, and tokens for them. */
import { createHash } from "node:crypto"
import { planned } from "@deploy-mcp/domain/commands/Plan"
import { type GitTokenView, Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { type CommandError, CommandError as Refused, refuse } from "@deploy-mcp/domain/Failure"
import { failureOf } from "@deploy-mcp/domain/Fault"
import type { GitError } from "@deploy-mcp/domain/Git"
import { Ids, type ProjectId } from "@deploy-mcp/domain/model/Ids"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import { type RepositoryIdentity, repositoryPath } from "@deploy-mcp/domain/model/Service"
import { Clock, Effect, Layer, Option } from "effect"
import { Gits } from "../Instances.ts"
import { controlUrl, Platform } from "../Platform.ts"
import { retried } from "../Retried.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { RepositoryStore, repositoryIn } from "../store/RepositoryStore.ts"
import { type ServiceSource, ServiceStore } from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { identifying } from "./Identify.ts"
import { iso } from "./Present.ts"
import { isVisible } from "./RepositoryVisibility.ts"

const tokenLife = 60 * 60_000

export const hashToken = (token: string): string => createHash("sha256").update(token).digest("hex")

/** A fault of git that stays one, as the catalogue names it. */
export const orRefused = <A>(effect: Effect.Effect<A, GitError>) =>
  Effect.mapError(retried(effect), (error) => new Refused({ failure: failureOf(error.reason) }))

export const layer = Layer.effect(
  Repositories,
  Effect.gen(function* () {
    const platform = yield* Platform
    const store = yield* RepositoryStore
    const gits = yield* Gits
    const ids = yield* Ids
    const { whole } = yield* Transactions
    const services = yield* ServiceStore
    const idempotency = yield* IdempotencyStore
    const { identify, identifyOurs } = yield* identifying
    const cloneUrl = (id: RepositoryIdentity) =>
      id.host === platform.gitHost
        ? `${controlUrl(platform)}/git/${id.owner}/${id.name}.git`
        : `https://${repositoryPath(id)}.git`

    return {
      create: Effect.fn("Repositories.create")(function* ({
        name,
        host,
        description,
        idempotencyKey
      }) {
        yield* requireScope("repositories:write")
        const principal = yield* Principal
        const identity = yield* identifyOurs(name, host)
        const { subject, repeated } = yield* idempotency
          .once(
            {
              owner: principal.owner,
              command: "create_repo",
              key: idempotencyKey,
              request: [identity, description ?? ""]
            },
            Effect.gen(function* () {
              const added = yield* store.add(
                principal.owner,
                identity,
                description ?? "",
                gits.default
              )
              yield* planned(
                added
                  ? `creates the repository ${repositoryPath(identity)}`
                  : "nothing: it exists already"
              )
              return added ? "created" : ""
            })
          )
          .pipe(whole)
        const created = subject !== "" && !repeated
        const row = yield* store.find(principal.owner, identity)
        if (Option.isSome(row)) {
          const git = gits.get(row.value.gitInstance)
          yield* orRefused(git.ensureRepository(repositoryIn(row.value)))
        }
        return {
          repo: repositoryPath(identity),
          name,
          description: Option.match(row, { onNone: () => "", onSome: (row) => row.description }),
          clone_url: cloneUrl(identity),
          created,
          next: `Call get_git_token with name ${name}, git push, then create_service with repo ${name}.`
        }
      }),

      list: Effect.gen(function* () {
        yield* requireScope("repositories:read")
        const principal = yield* Principal
        const followers = yield* services.sources(principal.owner, principal.project)
        const visible = yield* Effect.filter(yield* store.list(principal.owner), (row) =>
          isVisible(principal, repositoryIn(row))
        )
        return visible.map((row) => {
          const identity = repositoryIn(row)
          return {
            repo: repositoryPath(identity),
            name: row.name,
            description: row.description,
            clone_url: cloneUrl(identity),
            services: followers.filter((service) => follows(service, identity)).map(serviceName)
          }
        })
      }).pipe(Effect.provideService(ServiceStore, services)),

      remove: Effect.fn("Repositories.remove")(function* ({ name, host, idempotencyKey }) {
        yield* requireScope("repositories:delete")
        const { owner, project } = yield* Principal
        const identity = yield* identify(name, host)
        const { subject } = yield* idempotency
          .once(
            { owner, command: "delete_repo", key: idempotencyKey, request: identity },
            Effect.gen(function* () {
              const row = yield* store.find(owner, identity)
              if (Option.isNone(row)) {
                yield* planned("nothing: there is no such repository")
                return ""
              }
              const users = yield* services.ofRepository(owner, identity)
              yield* refuseWhileFollowed(users, project, identity)
              yield* planned(`removes ${repositoryPath(identity)} with all its commits, for good`)
              // git first: a crash in between leaves a row, and the same call again ends it.
              const git = gits.get(row.value.gitInstance)
              yield* orRefused(git.removeRepository(repositoryIn(row.value)))
              yield* store.remove(owner, row.value.id)
              return row.value.id
            })
          )
          .pipe(whole)
        return subject === ""
          ? {
              removed: false,
              name: identity.name,
              next: "There is no such repository; nothing to do."
            }
          : {
              removed: true,
              name: identity.name,
              next: "Its commits are gone and cannot be brought back. create_repo makes an empty one of this name; push your own clone to it."
            }
      }),

      token: Effect.fn("Repositories.token")(function* ({
        name,
        host,
        access
      }): Effect.fn.Return<GitTokenView, CommandError, Principal> {
        yield* requireScope(access === "write" ? "repositories:write" : "repositories:read")
        const principal = yield* Principal
        const identity = yield* identifyOurs(name, host)
        const row = yield* store.find(principal.owner, identity)
        if (Option.isNone(row)) {
          return yield* refuse("repository_missing", `There is no repository '${name}'.`)
        }
        const now = yield* Clock.currentTimeMillis
        const token = `mlg_${yield* ids.secret(40)}`
        yield* store.addToken({
          owner: principal.owner,
          repository: row.value.id,
          hash: hashToken(token),
          access,
          expiresAt: now + tokenLife
        })
        const pushUrl = cloneUrl(identity).replace("://", `://git:${token}@`)
        return {
          repo: repositoryPath(identity),
          token,
          username: "git",
          access,
          expires_at: iso(now + tokenLife),
          push_url: pushUrl,
          commands:
            access === "write" ? [`git push ${pushUrl} HEAD:main`] : [`git clone ${pushUrl}`],
          next:
            access === "write"
              ? `Commit your files and run: git push ${pushUrl} HEAD:main. Its output ends with the URL when a service follows that branch; else call create_service.`
              : "Clone with the URL that is shown."
        }
      })
    }
  })
)

const serviceName = (service: ServiceSource) => `${service.projectName}/${service.name}`

const follows = (service: ServiceSource, identity: RepositoryIdentity) =>
  service.repoHost === identity.host &&
  service.repoOwner === identity.owner &&
  service.repoName === identity.name

/** Names of another project are none of this key's business. */
const refuseWhileFollowed = (
  services: ReadonlyArray<ServiceSource>,
  project: ProjectId | null,
  identity: RepositoryIdentity
) => {
  if (services.length === 0) return Effect.void
  const seen = services.filter(({ projectId }) => project === null || projectId === project)
  const others = seen.length < services.length ? ["services of other projects"] : []
  const names = [...seen.map(serviceName), ...others]
  return Effect.fail(
    refuse("repository_in_use", `Services deploy from ${repositoryPath(identity)}.`, {
      evidence: names,
      next: `Delete ${names.join(", ")} first (delete_service), if that is what the user wants.`
    })
  )
}
