/** Services that deploy from public repositories of other hosts, read by the real provider over TLS. */

import { PlanOnly } from "@deploy-mcp/domain/commands/Plan"
import { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { Services } from "@deploy-mcp/domain/commands/Services"
import type { CommandError } from "@deploy-mcp/domain/Failure"
import { Git } from "@deploy-mcp/domain/Git"
import {
  BranchName,
  type CommitSha,
  FilePath,
  RepositoryName,
  RepositoryRef
} from "@deploy-mcp/domain/model/Names"
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

interface Theirs {
  readonly there: { readonly bare: string; readonly work: string }
  readonly first: CommitSha
  readonly elsewhere: Elsewhere["Service"]
  readonly url: string
}

onEachDatabase((fresh) => {
  const against = againstOn(fresh)

  /** A repository at another host with one commit, and a platform that can read it. */
  const withTheirs = <A, E>(
    test: (theirs: Theirs) => Parameters<typeof against<A, E>>[0]
  ): Effect.Effect<A, unknown> =>
    Effect.gen(function* () {
      const context = yield* Layer.build(provider())
      const { repo, ...there } = yield* Effect.provide(repository, context)
      const theirs = {
        there,
        first: yield* commit(there, { page: "A" }),
        elsewhere: Context.get(context, Elsewhere),
        url: `https://${repo.host}/${repo.owner}/${repo.name}`
      }
      const publicGit = Layer.succeed(Git, Context.get(context, Git))
      return yield* against(test(theirs), { publicGit })
    }).pipe(Effect.scoped)

  const codeOf = <A, R>(command: Effect.Effect<A, CommandError, R>) =>
    Effect.map(Effect.flip(command), ({ failure }) => failure)

  describe("a repository of another host", () => {
    it.live("is deployed from by its URL, and again when it has moved", () =>
      withTheirs(({ first, there, url }) =>
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
        })
      )
    )

    it.live("must be there with the branch, and a plan leaves no trace of it", () =>
      withTheirs(({ url }) =>
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
        })
      )
    )

    it.live("is never written to, and forgotten when nothing deploys from it", () =>
      withTheirs(({ url }) =>
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
        })
      )
    )

    it.live("that does not answer fails what asks for it, and nothing else", () =>
      withTheirs(({ elsewhere, first, there, url }) =>
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
        })
      )
    )
  })
})
