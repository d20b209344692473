/** Services that deploy from public repositories of other hosts, read by the real provider over TLS. */

import { PlanOnly } from "@deploy-mcp/domain/commands/Plan"
import { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { Services } from "@deploy-mcp/domain/commands/Services"
import type { CommandError } from "@deploy-mcp/domain/Failure"
import { Git } from "@deploy-mcp/domain/Git"
import { BranchName, FilePath, RepositoryName, RepositoryRef } from "@deploy-mcp/domain/model/Names"
import {
  commit,
  Elsewhere,
  provider,
  repository
} from "@deploy-mcp/providers/git/https/GitHttps.world"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { againstOn, scene, web } from "./Scene.ts"

onEachDatabase((fresh) => {
  const against = againstOn(fresh)

  /** A repository at another host with one commit, and a platform that can read it. */
  const world = Effect.gen(function* () {
    const context = yield* Layer.build(provider())
    const { repo: theirs, ...there } = yield* Effect.provide(repository, context)
    const first = yield* commit(there, { page: "A" })
    return {
      there,
      first,
      elsewhere: Context.get(context, Elsewhere),
      publicGit: Layer.succeed(Git, Context.get(context, Git)),
      url: `https://${theirs.host}/${theirs.owner}/${theirs.name}`
    }
  })

  const codeOf = <A, R>(command: Effect.Effect<A, CommandError, R>) =>
    Effect.map(Effect.flip(command), ({ failure }) => failure)

  describe("a repository of another host", () => {
    it.live("is deployed from by its URL, and again when it has moved", () =>
      Effect.gen(function* () {
        const { first, publicGit, there, url } = yield* world
        yield* against(
          Effect.gen(function* () {
            const { asOwner, create, redeploy, settled } = yield* scene
            const repositories = yield* Repositories
            const { service } = yield* create(web, undefined, url)
            assert.strictEqual(`https://${service.repo}`, url)
            assert.strictEqual((yield* settled()).commit, first)
            assert.isFalse((yield* create(web, undefined, `${url}.git`)).created)
            const second = yield* commit(there, { page: "B" })
            yield* redeploy()
            assert.deepInclude(yield* settled(), { commit: second, status: "live" })
            const listed = yield* asOwner(repositories.list)
            assert.deepInclude(
              listed.find(({ repo }) => repo === service.repo),
              { clone_url: `${url}.git`, services: ["default/web"] }
            )
          }),
          { publicGit }
        )
      }).pipe(Effect.scoped)
    )

    it.live("must be there with the branch, and a plan leaves no trace of it", () =>
      Effect.gen(function* () {
        const { publicGit, url } = yield* world
        yield* against(
          Effect.gen(function* () {
            const { asOwner, create } = yield* scene
            const repositories = yield* Repositories
            assert.strictEqual(
              (yield* codeOf(create(web, undefined, `${url}x`))).code,
              "repository_missing"
            )
            const missing = yield* codeOf(create(web, BranchName.make("next"), url))
            assert.strictEqual(missing.code, "branch_missing")
            assert.deepStrictEqual(missing.evidence, ["branches: main"])
            const plan = create(web, undefined, url).pipe(Effect.provideService(PlanOnly, true))
            assert.strictEqual((yield* codeOf(plan)).code, "planned")
            assert.lengthOf(yield* asOwner(repositories.list), 1)
          }),
          { publicGit }
        )
      }).pipe(Effect.scoped)
    )

    it.live("is never written to, and forgotten when nothing deploys from it", () =>
      Effect.gen(function* () {
        const { publicGit, url } = yield* world
        yield* against(
          Effect.gen(function* () {
            const { asOwner, create, remove, settled } = yield* scene
            const repositories = yield* Repositories
            const services = yield* Services
            yield* create(web, undefined, url)
            yield* settled()
            const { host } = new URL(url)
            const name = RepositoryRef.make(url)
            const page = { path: FilePath.make("page"), content: new Uint8Array([1]) }
            for (const failure of [
              yield* codeOf(asOwner(repositories.create({ name: RepositoryName.make("x"), host }))),
              yield* codeOf(asOwner(repositories.token({ name, access: "write" }))),
              yield* codeOf(asOwner(services.deployFiles({ name: web, source: [page] })))
            ]) {
              assert.strictEqual(failure.code, "invalid_argument")
              assert.isNotEmpty(failure.next)
            }
            const forget = asOwner(repositories.remove({ name }))
            assert.strictEqual((yield* codeOf(forget)).code, "repository_in_use")
            yield* remove()
            assert.isTrue((yield* forget).removed)
            assert.lengthOf(yield* asOwner(repositories.list), 1)
          }),
          { publicGit }
        )
      }).pipe(Effect.scoped)
    )

    it.live("that does not answer fails what asks for it, and nothing else", () =>
      Effect.gen(function* () {
        const { elsewhere, first, publicGit, there, url } = yield* world
        yield* against(
          Effect.gen(function* () {
            const { create, list, redeploy, settled } = yield* scene
            yield* create(web, undefined, url)
            yield* settled()
            yield* commit(there, { page: "B" })
            elsewhere.detour.answer = (_, response) => {
              response.writeHead(503).end()
              return true
            }
            assert.isTrue((yield* codeOf(redeploy())).retryable)
            const [newest, ...older] = yield* list()
            assert.deepInclude(newest, { commit: first, status: "live" })
            assert.lengthOf(older, 0)
          }),
          { publicGit }
        )
      }).pipe(Effect.scoped)
    )
  })
})
