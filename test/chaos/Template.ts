/** A database as it is after the first start, with an owner and repositories: made once, copied for each seed. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { KeyId, type RepositoryId, UserId } from "@deploy-mcp/domain/model/Ids"
import { OwnerName, RepositoryName } from "@deploy-mcp/domain/model/Names"
import { allScopes, Principal, type PrincipalData } from "@deploy-mcp/domain/model/Principal"
import { AccountStore } from "@deploy-mcp/runtime/store/AccountStore"
import { RepositoryStore } from "@deploy-mcp/runtime/store/RepositoryStore"
import { Effect, Option } from "effect"
import { type Named, serviceNames } from "./Operations.ts"

export interface Template {
  readonly principal: PrincipalData
  /** One for each service, of its name. */
  readonly repositories: ReadonlyMap<Named, RepositoryId>
}

/** A folder that costs no disk where the machine has one. */
export const freshHome = (): string => {
  const root = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()
  const home = mkdtempSync(join(root, "deploy-mcp-chaos-"))
  mkdirSync(join(home, "artifacts"))
  return home
}

export const removeHome = (home: string): void => rmSync(home, { recursive: true, force: true })

export const copyTemplate = (from: string, to: string): void =>
  copyFileSync(join(from, "deploy-mcp.db"), join(to, "deploy-mcp.db"))

/** The rows that every life begins with. */
export const furnish = Effect.gen(function* () {
  const accounts = yield* AccountStore
  const repositories = yield* Repositories
  const store = yield* RepositoryStore
  const ownerName = OwnerName.make("calm-otter")
  const { owner } = yield* accounts.addOwner(ownerName)
  const principal: PrincipalData = {
    owner,
    ownerName,
    user: UserId.make(`usr_${"0".repeat(20)}`),
    key: KeyId.make(`key_${"0".repeat(20)}`),
    scopes: allScopes,
    project: null
  }
  const made = new Map<Named, RepositoryId>()
  for (const service of serviceNames) {
    const name = RepositoryName.make(service)
    yield* repositories.create({ name }).pipe(Effect.provideService(Principal, principal))
    const row = yield* store.find(owner, { host: "internal", owner: ownerName, name })
    made.set(service, Option.getOrThrow(row).id)
  }
  return { principal, repositories: made } satisfies Template
})
