/** Repositories on the built-in host, and tokens for them. */
import { createHash } from "node:crypto"
import { type GitTokenView, Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { type CommandError, CommandError as Refused, refuse } from "@deploy-mcp/domain/Failure"
import { failureOf } from "@deploy-mcp/domain/Fault"
import { Git } from "@deploy-mcp/domain/Git"
import { Ids } from "@deploy-mcp/domain/model/Ids"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import type { RepositoryIdentity } from "@deploy-mcp/domain/model/Service"
import { Clock, Effect, Layer, Option } from "effect"
import { controlUrl, Platform } from "../Platform.ts"
import { RepositoryStore } from "../store/RepositoryStore.ts"
import { iso } from "./Present.ts"

const tokenLife = 60 * 60_000

export const hashToken = (token: string): string => createHash("sha256").update(token).digest("hex")

/** `name` or `owner/name` on `host`, as an identity; only the principal's own are visible. */
export const identify = Effect.fnUntraced(function* (
  ref: string,
  host: string | undefined
): Effect.fn.Return<RepositoryIdentity, CommandError, Platform | Principal> {
  const { gitHost } = yield* Platform
  const principal = yield* Principal
  if (host !== undefined && host !== gitHost) {
    return yield* refuse(
      "unknown_host",
      `There is no git host '${host}'; this platform has '${gitHost}'.`
    )
  }
  const parts = ref.split("/")
  const [owner, name] = parts.length === 2 ? parts : [principal.ownerName, ref]
  if (owner !== principal.ownerName || name === undefined) {
    return yield* refuse(
      "repository_missing",
      `There is no repository '${ref}' that this key can see.`
    )
  }
  return { host: gitHost, owner, name }
})

export const layer = Layer.effect(
  Repositories,
  Effect.gen(function* () {
    const platform = yield* Platform
    const store = yield* RepositoryStore
    const git = yield* Git
    const ids = yield* Ids
    const cloneUrl = (id: RepositoryIdentity) =>
      `${controlUrl(platform)}/git/${id.owner}/${id.name}.git`

    return {
      create: Effect.fn("Repositories.create")(
        function* ({ name, host, description }) {
          yield* requireScope("repositories:write")
          const principal = yield* Principal
          const identity = yield* identify(name, host)
          const created = yield* store.add(principal.owner, identity, description ?? "")
          const row = yield* store.find(principal.owner, identity)
          if (Option.isSome(row)) {
            yield* git
              .ensureRepository(row.value.id)
              .pipe(Effect.mapError((error) => new Refused({ failure: failureOf(error.reason) })))
          }
          return {
            repo: `${identity.host}/${identity.owner}/${identity.name}`,
            name,
            description: Option.match(row, { onNone: () => "", onSome: (row) => row.description }),
            clone_url: cloneUrl(identity),
            created,
            next: `Call get_git_token with name ${name}, git push, then create_service with repo ${name}.`
          }
        },
        Effect.provideService(Platform, platform)
      ),

      token: Effect.fn("Repositories.token")(
        function* ({
          name,
          host,
          access
        }): Effect.fn.Return<GitTokenView, CommandError, Principal | Platform> {
          yield* requireScope(access === "write" ? "repositories:write" : "repositories:read")
          const principal = yield* Principal
          const identity = yield* identify(name, host)
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
            repo: `${identity.host}/${identity.owner}/${identity.name}`,
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
        },
        Effect.provideService(Platform, platform)
      )
    }
  })
)
