/** What a push does: it is a hint to look at the branch, and the pusher watches what comes of it. */
import { Accounts } from "@deploy-mcp/domain/commands/Accounts"
import type { DeploymentView } from "@deploy-mcp/domain/commands/Views"
import { refuse } from "@deploy-mcp/domain/Failure"
import type { RefUpdate } from "@deploy-mcp/domain/Git"
import type { DeploymentId, KeyId, OwnerId, RepositoryId } from "@deploy-mcp/domain/model/Ids"
import type { PrincipalData } from "@deploy-mcp/domain/model/Principal"
import type { RepositoryIdentity } from "@deploy-mcp/domain/model/Service"
import { Clock, Effect, Layer, Option, Redacted, Stream } from "effect"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { GitAccess } from "../http/GitAccess.ts"
import { Platform } from "../Platform.ts"
import { CommonStore } from "../store/CommonStore.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { type RepositoryRow, RepositoryStore, repositoryIn } from "../store/RepositoryStore.ts"
import { type ServiceRow, ServiceStore } from "../store/ServiceStore.ts"
import { admission } from "./Admission.ts"
import { followers } from "./Followers.ts"
import { missedPushes } from "./MissedPushes.ts"
import { Present } from "./Present.ts"
import { hashToken } from "./Repositories.ts"
import { repositoryQuota } from "./RepositoryQuota.ts"
import { isVisible } from "./RepositoryVisibility.ts"

const invisible = refuse("not_found", "There is no such repository for this token.", {
  next: "Check the URL, or call get_git_token for the repository."
})

const laterLines = [
  "The push is kept, but git does not answer just now.",
  "It is deployed as soon as it does; to see it: list_deployments."
]

const make = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const platform = yield* Platform
  const accounts = yield* Accounts
  const common = yield* CommonStore
  const repositories = yield* RepositoryStore
  const services = yield* ServiceStore
  const deployments = yield* DeploymentStore
  const events = yield* DeploymentEvents
  const present = yield* Present
  const { deployFollowers } = yield* followers
  const catchUp = yield* missedPushes
  const admit = yield* admission
  const quota = yield* repositoryQuota

  /** A repository token opens its one repository, an API key those of its owner. */
  const authorize = Effect.fn("Pushes.authorize")(function* (
    owner: string,
    repo: string,
    token: Redacted.Redacted | null,
    access: "read" | "write"
  ) {
    if (token === null) {
      return yield* refuse("unauthorized", "Git needs a token as its password.", {
        next: "Call get_git_token and use the URL that it shows."
      })
    }
    const identity = { host: platform.gitHost, owner, name: repo }
    if (Redacted.value(token).startsWith("dk_live_")) {
      const principal = yield* accounts.authenticate(token)
      const row = yield* repositories.find(principal.owner, identity)
      const seen = Option.isSome(row) && (yield* mayTouch(principal, identity))
      if (Option.isNone(row) || !seen) return yield* invisible
      yield* allow(scopeAllows(principal, access), access)
      if (access === "write") yield* admitPush(row.value, principal.key)
      return openedOf(row.value)
    }
    const known = yield* common.tokenByHash(hashToken(Redacted.value(token)))
    const now = yield* Clock.currentTimeMillis
    if (Option.isNone(known) || known.value.expiresAt <= now) {
      return yield* refuse("unauthorized", "The git token is unknown or has expired.", {
        next: "Call get_git_token for a new one."
      })
    }
    const row = yield* repositories.find(known.value.ownerId, identity)
    if (Option.isNone(row) || row.value.id !== known.value.repositoryId) return yield* invisible
    yield* allow(access === "read" || known.value.access === "write", access)
    if (access === "write") yield* admitPush(row.value, null)
    return openedOf(row.value)
  })

  /** Asked before git takes anything: what it has taken is deployed, however many there are. */
  const admitPush = Effect.fnUntraced(function* (row: RepositoryRow, key: KeyId | null) {
    const all = yield* services.ofRepository(row.ownerId, repositoryIn(row))
    if (all.length === 0) return
    yield* admit({ owner: row.ownerId, key, stages: all.map(({ stageId }) => stageId) })
  })

  const mayTouch = (principal: PrincipalData, identity: RepositoryIdentity) =>
    isVisible(principal, identity).pipe(Effect.provideService(ServiceStore, services))

  const allow = (allowed: boolean, access: string) =>
    allowed
      ? Effect.void
      : Effect.fail(refuse("forbidden", `This token does not allow to ${access} the repository.`))

  /** Where git can't say what repositories have, a push is not lost: it is the quota that waits. */
  const objection = Effect.fnUntraced(
    function* (owner: OwnerId, bytes: number) {
      const refusal = yield* quota.objection(owner, bytes)
      if (refusal === null) return null
      const { cause, code, next } = refusal.failure
      return `${code}: ${cause} ${next}`
    },
    Effect.catchTag("GitError", ({ reason }) =>
      Effect.as(Effect.logWarning("repositories could not be measured", reason), null)
    )
  )

  /** One stream for the terminal of the pusher: its lines end when all deployments have ended. */
  const pushed = (owner: OwnerId, repository: RepositoryId, updates: ReadonlyArray<RefUpdate>) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const { moved, requested, row } = yield* deployed(owner, repository, updates)
        if (requested === null) return Stream.fromIterable(laterLines)
        const started = requested.flat()
        if (started.length === 0) return Stream.fromIterable(nothingFollows(row, moved))
        return Stream.mergeAll(
          started.map(({ service, id }) => narrate(service, id)),
          { concurrency: "unbounded" }
        )
      })
    )

  /** Git has the push, so it is deployed even if the pusher hangs up; null: once git answers again. */
  const deployed = Effect.fnUntraced(function* (
    owner: OwnerId,
    repository: RepositoryId,
    updates: ReadonlyArray<RefUpdate>
  ) {
    const row = yield* repositories.byId(owner, repository)
    const moved = updates.flatMap((update) => (update.to === null ? [] : [update.branch]))
    const requested = yield* Effect.forEach(moved, (branch) => deployFollowers(row, branch)).pipe(
      Effect.catchTag("GitError", () => Effect.as(Effect.forkIn(catchUp(owner), scope), null))
    )
    return { moved, requested, row }
  }, Effect.uninterruptible)

  const nothingFollows = (repository: RepositoryRow, branches: ReadonlyArray<string>) =>
    branches.length === 0
      ? []
      : [
          `Nothing deploys from ${branches.join(", ")} of ${repository.name} yet.`,
          `To deploy it: create_service with repo ${repository.name} and a name.`
        ]

  /** Phases and build output as they happen, then the URL or the failure. */
  const narrate = (service: ServiceRow, id: DeploymentId): Stream.Stream<string> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const next = yield* events.subscribe
        let phase = ""
        let asked = 0
        const look = Effect.gen(function* () {
          asked += 1
          const row = yield* deployments.byId(service.ownerId, id)
          const view = yield* present.deployment(row, service)
          const ended = row.finishedAt !== null
          // A queue of a moment is not worth a line.
          const entered = view.phase !== phase && !ended && (asked > 1 || view.phase !== "queued")
          if (entered) phase = view.phase
          return {
            lines: ended
              ? closing(view)
              : entered
                ? [`${view.deployment}: ${phaseWords[view.phase]}`]
                : [],
            done: ended
          }
        })
        const event = next.pipe(
          Effect.repeat({ until: (event) => "deployment" in event && event.deployment === id }),
          Effect.timeoutOption("2 seconds")
        )
        const step = Effect.gen(function* () {
          const seen = yield* event
          if (Option.isSome(seen) && seen.value.kind === "log") {
            return { lines: [`  ${seen.value.line.text}`], done: false }
          }
          return yield* look
        })
        return Stream.fromEffect(look).pipe(
          Stream.concat(Stream.fromEffectRepeat(step)),
          Stream.takeUntil((seen) => seen.done),
          Stream.flatMap((seen) => Stream.fromIterable(seen.lines))
        )
      })
    )

  return { authorize, objection, pushed }
})

export const layer = Layer.effect(GitAccess, make)

const openedOf = (row: RepositoryRow) => ({
  owner: row.ownerId,
  repository: repositoryIn(row),
  gitInstance: row.gitInstance
})

const scopeAllows = (principal: PrincipalData, access: "read" | "write") =>
  principal.scopes.includes(access === "write" ? "repositories:write" : "repositories:read")

const phaseWords: Record<DeploymentView["phase"], string> = {
  queued: "queued",
  source: "reading the source",
  build: "building",
  start: "starting",
  health: "waiting until it answers",
  route: "moving traffic"
}

const address = ({ next, try: line, url }: DeploymentView): ReadonlyArray<string> =>
  url === null ? [`  ${next}`] : [`  ${url}`, `  ${line}`]

const closing = (view: DeploymentView): ReadonlyArray<string> => {
  const times = view.phases
    .filter((phase) => phase.phase !== "queued")
    .map((phase) => `${phase.phase} ${phase.ms} ms`)
    .join(", ")
  if (view.status === "live" || view.status === "replaced") {
    return [`${view.deployment}: live (${times})`, ...address(view)]
  }
  const { failure } = view
  if (failure === null) return [`${view.deployment}: ${view.status}`]
  return [
    `${view.deployment}: ${view.status} in ${failure.phase}: ${failure.code}`,
    `  ${failure.cause}`,
    ...failure.evidence.slice(-10).map((line) => `  | ${line}`),
    `  next: ${failure.next}`
  ]
}
