/** A platform of its own with its first owner, and commands under that owner's key or another one. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Accounts } from "@deploy-mcp/domain/commands/Accounts"
import type { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { Services } from "@deploy-mcp/domain/commands/Services"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import { Effect, Layer, Redacted, type Scope as Scopes } from "effect"
import { testing } from "../../compositions/testing.ts"
import type { GitAccess } from "../../http/GitAccess.ts"
import { eachDatabase } from "../../store/testing/Databases.ts"
import { FirstOwner, layer as firstOwner } from "../FirstOwner.ts"

/** A fresh platform with its first owner; `as` runs commands with the owner's key or another one. */
export const platform = Effect.gen(function* () {
  const { keyFile, name } = yield* FirstOwner
  const accounts = yield* Accounts
  const as =
    (secret: string) =>
    <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.flatMap(accounts.authenticate(Redacted.make(secret)), (principal) =>
        Effect.provideService(effect, Principal, principal)
      )
  const secret = readFileSync(keyFile ?? "", "utf8").trim()
  return { accounts, services: yield* Services, name, keyFile: keyFile ?? "", secret, as }
})

const databases = eachDatabase()

/** Runs `test` against a platform of its own, on one database after the other. */
export const against = <A, E>(
  test: (home: string) => Effect.Effect<A, E, Provided | Scopes.Scope>
) =>
  Effect.forEach(
    databases,
    (fresh) =>
      Effect.acquireUseRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "commands-"))),
        (home) =>
          Effect.scoped(test(home)).pipe(
            Effect.provide(
              firstOwner.pipe(Layer.provideMerge(testing(home, { databaseUrl: fresh() })))
            )
          ),
        (home) => Effect.sync(() => rmSync(home, { recursive: true, force: true }))
      ),
    { discard: true }
  )
type Provided =
  | Effect.Services<typeof platform>
  | Layer.Services<typeof firstOwner>
  | Repositories
  | GitAccess

/** The code that a refusal must have. */
export const codeOf = Effect.map(
  (error: { readonly failure: { readonly code: string } }) => error.failure.code
)
