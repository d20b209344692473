/** A repository as callers write it becomes an identity: ours by its name, another host's by its URL. */
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import { type RepositoryIdentity, repositoryPath } from "@deploy-mcp/domain/model/Service"
import { Effect } from "effect"
import { Gits } from "../Instances.ts"
import { Platform } from "../Platform.ts"
import { ServiceStore } from "../store/ServiceStore.ts"
import { invisible, mustBeVisible } from "./RepositoryVisibility.ts"

/** The instance that reads public repositories of other hosts, where it is active. */
export const publicGit = "public"

type Identify = (
  ref: string,
  host: string | undefined
) => Effect.Effect<RepositoryIdentity, CommandError, Principal>

export const identifying = Effect.gen(function* () {
  const { gitHost } = yield* Platform
  const gits = yield* Gits
  const services = yield* ServiceStore

  /**
   * `name`, `owner/name` or `https://host/owner/name`, or the first two of them with a `host`. Of ours
   * only the principal's own are visible.
   */
  const identify: Identify = Effect.fnUntraced(function* (ref, host) {
    const { ownerName } = yield* Principal
    const parts = ref.replace(/^https:\/\/|\/$/gu, "").split("/")
    const [name = "", owner = ownerName, written] = parts.toReversed()
    const at = written ?? host ?? gitHost
    if (at === gitHost) {
      if (owner !== ownerName) return yield* invisible(ref)
      const identity = { host: at, owner, name }
      yield* mustBeVisible(identity).pipe(Effect.provideService(ServiceStore, services))
      return identity
    }
    if (!gits.names.includes(publicGit) || !at.includes(".")) {
      return yield* refuse("unknown_host", `There is no git host '${at}' here.`, {
        next: `Leave host out for '${gitHost}', which is built in.`
      })
    }
    if (parts.length === 1) {
      return yield* refuse("invalid_argument", `repo: '${ref}' does not say whose it is.`, {
        next: `Write it as https://${at}/<owner>/${name}.`
      })
    }
    return { host: at, owner, name: name.replace(/\.git$/u, "") }
  })

  /** One that the built-in host serves: it can be made, pushed to and committed to. */
  const identifyOurs: Identify = Effect.fnUntraced(function* (ref, host) {
    const identity = yield* identify(ref, host)
    if (identity.host === gitHost) return identity
    return yield* refuse(
      "invalid_argument",
      `repo: ${repositoryPath(identity)} can be deployed from, not written to.`,
      { next: `Call create_service with repo https://${repositoryPath(identity)}.` }
    )
  })

  return { identify, identifyOurs }
})
