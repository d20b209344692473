/** What migrations do to the rows of an earlier version. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { OwnerName } from "@deploy-mcp/domain/model/Names"
import { allScopes, type Scope } from "@deploy-mcp/domain/model/Principal"
import { it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { assert } from "vitest"
import * as Ids from "../Ids.ts"
import { AccountStore } from "./AccountStore.ts"
import * as Database from "./Database.ts"
import * as Migrations from "./Migrations.ts"
import ownerScopes from "./migrations/0007_owner_scopes.ts"
import { onEachDatabase } from "./testing/Databases.ts"

const earlier = allScopes.filter((scope) => scope !== "repositories:delete")

onEachDatabase((fresh) => {
  it.live("the owner's key may again do everything, and no other key more than before", () =>
    inHome((home) =>
      Effect.gen(function* () {
        yield* Migrations.run
        const store = yield* AccountStore
        const { owner, user } = yield* store.addOwner(OwnerName.make("calm-otter"))
        const key = (name: string, scopes: ReadonlyArray<Scope>) =>
          store.addKey({
            owner,
            user,
            project: null,
            name,
            prefix: name,
            hash: "",
            scopes,
            expiresAt: null
          })
        yield* key("owner", earlier)
        yield* key("laptop", earlier)
        yield* ownerScopes
        const scopes = new Map((yield* store.keys(owner)).map((row) => [row.name, row.scopes]))
        assert.sameMembers([...(scopes.get("owner") ?? [])], [...allScopes])
        assert.deepStrictEqual(scopes.get("laptop"), earlier)
      }).pipe(
        Effect.provide(
          AccountStore.layer.pipe(
            Layer.provideMerge(Database.layer(home, urlOf(fresh()))),
            Layer.provide(Ids.layer)
          )
        )
      )
    )
  )
})

const urlOf = (url: string | undefined) => (url === undefined ? null : Redacted.make(url))

const inHome = <A, E>(use: (home: string) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-migrations-"))),
    use,
    (home) => Effect.sync(() => rmSync(home, { recursive: true, force: true }))
  )
