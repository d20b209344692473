/** Owners and keys: who is asking, and what they may mint. */
import { createHash } from "node:crypto"
import { Accounts, type KeyView } from "@deploy-mcp/domain/commands/Accounts"
import { refuse } from "@deploy-mcp/domain/Failure"
import type { OwnerId } from "@deploy-mcp/domain/model/Ids"
import {
  Principal,
  type PrincipalData,
  requireScope,
  type Scope
} from "@deploy-mcp/domain/model/Principal"
import { steadyMillis } from "@deploy-mcp/domain/SteadyMillis"
import { compare } from "@node-rs/bcrypt"
import { Clock, Effect, Layer, Option, Redacted } from "effect"
import { Deploys } from "../Instances.ts"
import { mebibytes } from "../Mebibytes.ts"
import { Platform } from "../Platform.ts"
import { Publisher } from "../Publisher.ts"
import { AccountStore, type KeyRow } from "../store/AccountStore.ts"
import { CommonStore } from "../store/CommonStore.ts"
import { countIn, ServiceStore } from "../store/ServiceStore.ts"
import { UsageStore } from "../store/UsageStore.ts"
import { isolationLines } from "./Isolation.ts"
import { keyForm, mintKey } from "./KeyMint.ts"
import { iso } from "./Present.ts"
import { projectCommands } from "./Projects.ts"
import { repositoryQuota } from "./RepositoryQuota.ts"

const remembered = 60_000
const day = 86_400_000
const attemptsPerMinute = 10

interface Verified {
  readonly principal: PrincipalData
  /** By the clock that nobody sets, as those of attempts are. */
  readonly until: number
  readonly expiresAt: number
}

const unauthorized = refuse("unauthorized", "The key is unknown.")

const make = Effect.gen(function* () {
  const common = yield* CommonStore
  const store = yield* AccountStore
  const services = yield* ServiceStore
  const publisher = yield* Publisher
  const deploys = yield* Deploys
  const platform = yield* Platform
  const usage = yield* UsageStore
  const repositories = yield* repositoryQuota
  const mint = yield* mintKey

  /** Verified keys by the hash of what was sent; a revocation empties it. */
  const verified = new Map<string, Verified>()
  /** Wrong secrets for a known prefix, so that bcrypt is not work that strangers can order. */
  const attempts = new Map<string, { count: number; until: number }>()

  const authenticate = Effect.fnUntraced(function* (key: Redacted.Redacted) {
    const sent = Redacted.value(key)
    const now = yield* Clock.currentTimeMillis
    const digest = createHash("sha256").update(sent).digest("base64")
    const steady = yield* steadyMillis
    const known = verified.get(digest)
    if (known !== undefined && known.until > steady && known.expiresAt > now) return known.principal
    const prefix = keyForm.exec(sent)?.[1]
    if (prefix === undefined) return yield* unauthorized
    const found = yield* common.keyByPrefix(prefix)
    if (Option.isNone(found)) return yield* unauthorized
    const row = found.value
    const tried = attempts.get(prefix)
    if (tried !== undefined && tried.until > steady && tried.count >= attemptsPerMinute) {
      return yield* refuse("rate_limited", "Too many wrong secrets for this key.", {
        retry_after: 60
      })
    }
    // Why a key is over is told only to those who have it.
    const over = (yield* Effect.promise(() => compare(sent, row.hash)))
      ? endOf(row, now)
      : unauthorized
    if (over !== null) {
      const count = tried !== undefined && tried.until > steady ? tried.count + 1 : 1
      attempts.set(prefix, { count, until: steady + remembered })
      return yield* over
    }
    const principal = principalOf(row)
    if (verified.size > 1000) verified.clear()
    verified.set(digest, {
      principal,
      until: steady + remembered,
      expiresAt: row.expiresAt ?? Infinity
    })
    yield* store.touchKey(row.ownerId, row.id, now)
    return principal
  })

  const createKey = Effect.fn("Accounts.createKey")(function* (input: {
    readonly name: string
    readonly scopes?: ReadonlyArray<Scope>
    readonly project?: string
    readonly expiresInDays?: number
  }) {
    yield* requireScope("keys:manage")
    const principal = yield* Principal
    const own = yield* store.keyById(principal.owner, principal.key)
    const scopes = input.scopes ?? principal.scopes
    const more = scopes.filter((scope) => !principal.scopes.includes(scope))
    if (more.length > 0) {
      return yield* refuse(
        "forbidden",
        `A key can only mint weaker keys; it lacks ${more.join(", ")}.`
      )
    }
    const projects = yield* store.projects(principal.owner)
    const project =
      input.project === undefined
        ? principal.project
        : projects.find((candidate) => candidate.name === input.project)?.id
    if (project === undefined || (principal.project !== null && project !== principal.project)) {
      return yield* refuse(
        "unknown_project",
        `There is no project '${input.project}' for this key.`
      )
    }
    const now = yield* Clock.currentTimeMillis
    const asked = input.expiresInDays === undefined ? null : now + input.expiresInDays * day
    const expiresAt =
      own.expiresAt === null ? asked : Math.min(asked ?? own.expiresAt, own.expiresAt)
    const { owner, user } = principal
    const secret = yield* mint({ owner, user, name: input.name, scopes, project, expiresAt })
    if (secret === null) {
      return yield* refuse("name_taken", `There is a key '${input.name}' already.`)
    }
    const keys = yield* store.keys(principal.owner)
    const row = keys.find((key) => key.name === input.name) ?? own
    return { key: keyView(row), secret }
  })

  /** A key that is limited to a project sees those that are limited to the same. */
  const visibleKeys = Effect.gen(function* () {
    yield* requireScope("keys:manage")
    const { owner, project } = yield* Principal
    const rows = yield* store.keys(owner)
    return rows.filter(({ projectId }) => project === null || projectId === project)
  })

  const repositoriesLine = (owner: OwnerId) =>
    repositories.used(owner).pipe(
      Effect.map((bytes) => [usageLine("Repositories", bytes, repositories.quota)]),
      Effect.catchTag("GitError", () => Effect.succeed([]))
    )

  const regions =
    deploys.names.length === 1
      ? []
      : [
          `Services run in one of the regions ${deploys.names.join(", ")}; ${deploys.default} is the default.`
        ]

  return Accounts.of({
    ...(yield* projectCommands),
    authenticate,
    createKey,
    whoami: Effect.gen(function* () {
      const principal = yield* Principal
      const key = yield* store.keyById(principal.owner, principal.key)
      const projects = yield* store.projects(principal.owner)
      const node = yield* publisher.node(deploys.default)
      return {
        owner: principal.ownerName,
        key: keyView(key),
        projects: projects
          .filter(({ id }) => principal.project === null || id === principal.project)
          .map(({ name }) => name),
        git_host: platform.gitHost,
        services: countIn(yield* services.counts(principal.owner), principal.project),
        platform: [
          ...(node === null ? ["The edge is being started."] : isolationLines(node.isolation)),
          usageLine("Artifacts", yield* usage.artifacts(principal.owner), platform.artifactQuota),
          ...(yield* repositoriesLine(principal.owner)),
          ...regions
        ],
        next: "Call create_repo and get_git_token, git push, then create_service; or list_services to see what is there."
      }
    }),
    listKeys: Effect.map(visibleKeys, (rows) => rows.map(keyView)),
    revokeKey: Effect.fn("Accounts.revokeKey")(function* ({ name }) {
      const target = (yield* visibleKeys).find((key) => key.name === name)
      if (target === undefined) {
        return yield* refuse("not_found", `There is no key '${name}'.`, {
          next: "Call list_keys to see the names."
        })
      }
      const principal = yield* Principal
      const more = target.scopes.filter((scope) => !principal.scopes.includes(scope))
      if (more.length > 0) {
        return yield* refuse(
          "forbidden",
          `A key can only revoke weaker keys; '${name}' has also ${more.join(", ")}.`
        )
      }
      const row = yield* store.revokeKey(principal.owner, name)
      verified.clear()
      return keyView(Option.getOrElse(row, () => target))
    })
  })
})

export const layer = Layer.effect(Accounts, make)

const usageLine = (what: string, bytes: number, quota: number) =>
  quota === 0
    ? `${what} have ${mebibytes(bytes)} MiB; there is no quota.`
    : `${what} have ${mebibytes(bytes)} of ${mebibytes(quota)} MiB.`

const endOf = ({ name, revokedAt, expiresAt }: KeyRow, now: number) => {
  const next = "Use another key, or make one with 'deploy-mcp keys create'."
  if (revokedAt !== null) {
    return refuse("unauthorized", `The key '${name}' was revoked at ${iso(revokedAt)}.`, { next })
  }
  return expiresAt === null || expiresAt > now
    ? null
    : refuse("unauthorized", `The key '${name}' expired at ${iso(expiresAt)}.`, { next })
}

const principalOf = (row: KeyRow): PrincipalData => ({
  owner: row.ownerId,
  ownerName: row.ownerName,
  user: row.userId,
  key: row.id,
  scopes: row.scopes,
  project: row.projectId
})

const keyView = (row: KeyRow): KeyView => ({
  name: row.name,
  prefix: `dk_live_${row.prefix}…`,
  scopes: row.scopes,
  project: row.projectName,
  expires_at: row.expiresAt === null ? null : iso(row.expiresAt),
  last_used_at: row.lastUsedAt === null ? null : iso(row.lastUsedAt),
  revoked: row.revokedAt !== null
})
