/** Who has many deployments open is told to come back; nothing of what was refused is left. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { Services } from "@deploy-mcp/domain/commands/Services"
import type { CommandError } from "@deploy-mcp/domain/Failure"
import { KeyId } from "@deploy-mcp/domain/model/Ids"
import {
  IdempotencyKey,
  RepositoryName,
  RepositoryRef,
  ServiceName
} from "@deploy-mcp/domain/model/Names"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import { doublesIn, testing } from "@deploy-mcp/runtime/compositions/testing"
import { GitAccess } from "@deploy-mcp/runtime/http/GitAccess"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, it } from "@effect/vitest"
import { Effect, Latch, Layer, Redacted } from "effect"
import { gatedGit } from "./GatedGit.ts"
import { scene, web } from "./Scene.ts"

const other = RepositoryName.make("other")

const limited = <A, R>(command: Effect.Effect<A, CommandError, R>) =>
  Effect.map(Effect.flip(command), ({ failure: { code, retry_after } }) => {
    assert.deepStrictEqual([code, retry_after], ["rate_limited", 5])
  })

onEachDatabase((fresh) => {
  it.live("one key, one owner and a push are each told when it is too much", () =>
    Effect.gen(function* () {
      const home = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-backlog-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
      const gate = yield* Latch.make(true)
      const doubles = gatedGit("checkout", gate).pipe(Layer.provideMerge(doublesIn(home)))
      yield* Effect.gen(function* () {
        const it = yield* scene
        const services = yield* Services
        const repositories = yield* Repositories
        const access = yield* GitAccess
        it.commit({ page: "A" })
        yield* it.create()
        yield* it.settled()
        yield* it.asOwner(repositories.create({ name: other }))
        yield* it.create(ServiceName.make("far"), undefined, other)
        const push = (to: RepositoryName) =>
          it
            .asOwner(repositories.token({ name: RepositoryRef.make(to), access: "write" }))
            .pipe(
              Effect.flatMap(({ token }) =>
                access.authorize("calm-otter", to, Redacted.make(token), "write")
              )
            )

        yield* gate.close
        it.commit({ page: "B" })
        const named = (name: string, key?: string) =>
          services.create({
            name: ServiceName.make(name),
            repo: RepositoryRef.make("web"),
            settings: {},
            variables: {},
            ...(key === undefined ? {} : { idempotencyKey: IdempotencyKey.make(key) })
          })
        const asOther = Effect.updateService(Principal, (mine) => ({
          ...mine,
          key: KeyId.make(`key_${"o".repeat(20)}`)
        }))
        yield* it.asOwner(named("one"))
        yield* it.asOwner(named("two"))
        yield* it.asOwner(limited(named("three", "once")))
        // What has a deployment open may have a newer one: it takes its place.
        yield* it.asOwner(services.redeploy({ name: ServiceName.make("two") }))
        yield* it.asOwner(limited(services.redeploy({ name: web })))
        yield* it.asOwner(asOther(named("four")))
        yield* it.asOwner(limited(asOther(named("five"))))
        const { total } = yield* it.asOwner(services.list({ limit: 10 }))
        assert.strictEqual(total, 5)
        yield* it.asOwner(limited(push(other)))
        yield* push(RepositoryName.make("web"))

        yield* gate.open
        for (const name of ["one", "two", "four"]) {
          assert.strictEqual((yield* it.settled(ServiceName.make(name))).status, "live")
        }
        assert.isTrue((yield* it.asOwner(named("three", "once"))).created)
        assert.strictEqual((yield* it.settled(ServiceName.make("three"))).status, "live")
        yield* push(other)
      }).pipe(
        Effect.provide(
          testing(home, { databaseUrl: fresh(), doubles, openPerKey: 2, openPerOwner: 3 })
        )
      )
    }).pipe(Effect.scoped)
  )
})
