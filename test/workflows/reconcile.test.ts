/** What the world and the rows disagree in is found, said and mended, and then nothing is found any more. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { Logs } from "@deploy-mcp/domain/Logs"
import { RepositoryId } from "@deploy-mcp/domain/model/Ids"
import { ServiceName } from "@deploy-mcp/domain/model/Names"
import { GitWorld } from "@deploy-mcp/providers/git/memory/GitMemory"
import { Platform } from "@deploy-mcp/runtime/Platform"
import { Publisher } from "@deploy-mcp/runtime/Publisher"
import type { DifferenceKind } from "@deploy-mcp/runtime/reconcile/Difference"
import * as Reconcilers from "@deploy-mcp/runtime/reconcile/Reconciler"
import { forPlatform } from "@deploy-mcp/runtime/store/Owned"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { againstOn, type Scene, scene } from "./Scene.ts"

const other = "0".repeat(20)
const prompt = { every: null, grace: 0, settle: 20 }

onEachDatabase((fresh) => {
  const against = againstOn(fresh)

  /** Deploys once, lets `plant` make a difference, and looks at what comes of it. */
  const planted = <A>(
    kind: DifferenceKind,
    plant: (it: Scene) => Effect.Effect<A, never, Planting>,
    isMended: (it: Scene, planted: A) => Effect.Effect<boolean, never, Planting>,
    /** What the same plant makes differ too. */
    besides: ReadonlyArray<DifferenceKind> = []
  ) =>
    against(
      Effect.gen(function* () {
        const it = yield* scene
        it.commit({ page: "A" })
        yield* it.create()
        const { service, number } = yield* it.settled()
        yield* it.quiet((yield* it.row(number)).id)
        const { reconcile } = yield* Reconcilers.Reconciler
        assert.deepStrictEqual(yield* reconcile, [], `${service} as it was deployed`)
        const what = yield* plant(it)
        const found = yield* reconcile
        const kinds = found.map((one) => one.kind).filter((one) => !besides.includes(one))
        assert.deepStrictEqual(kinds, [kind], found.map(({ sentence }) => sentence).join("\n"))
        assert.match(found[0]?.sentence ?? "", /^[A-Z].* .*\.$/u)
        yield* isMended(it, what).pipe(
          Effect.repeat({ schedule: Schedule.spaced("5 millis"), until: (done) => done }),
          Effect.timeout("5 seconds")
        )
        assert.deepStrictEqual(yield* reconcile, [], "a second comparison finds nothing")
        assert.strictEqual((yield* it.list())[0]?.status, "live")
      }).pipe(Effect.provide(forPlatform(Reconcilers.layer(prompt))))
    )

  describe("the reconciler", () => {
    it.live("removes the work directory of a deployment that is not under way", () =>
      planted(
        "work_directory",
        () =>
          Effect.map(Platform, ({ home }) => {
            const folder = join(home, "work", `dep_${other}`)
            mkdirSync(join(folder, "source"), { recursive: true })
            return folder
          }),
        (_, folder) => Effect.sync(() => !existsSync(folder))
      )
    )

    it.live("removes an artifact that no release and no build needs", () =>
      planted(
        "artifact",
        () =>
          Effect.map(Platform, ({ home }) => {
            const folder = join(home, "artifacts", "f".repeat(64))
            mkdirSync(folder)
            writeFileSync(`${folder}.json`, "{}")
            return folder
          }),
        (_, folder) => Effect.sync(() => !existsSync(folder) && !existsSync(`${folder}.json`))
      )
    )

    it.live("removes the log of a deployment that is forgotten", () =>
      planted(
        "build_log",
        () =>
          Effect.map(Platform, ({ home }) => {
            const file = join(home, "logs", "deployments", `dep_${other}.ndjson`)
            writeFileSync(file, '{"seq":1,"at":0,"stream":"stdout","text":"hello"}\n')
            return file
          }),
        (_, file) => Effect.sync(() => !existsSync(file))
      )
    )

    it.live("removes an empty repository without a row", () =>
      planted(
        "repository",
        () =>
          Effect.map(GitWorld, ({ repositories }) => {
            const id = RepositoryId.make(`rep_${other}`)
            repositories.set(id, { branches: new Map(), commits: new Map() })
            return id
          }),
        (_, id) => Effect.map(GitWorld, ({ repositories }) => !repositories.has(id))
      )
    )

    it.live("makes the repository again of a row that has lost it", () =>
      planted(
        "repository",
        () =>
          Effect.map(GitWorld, ({ repositories }) => {
            const [id] = repositories.keys()
            if (id !== undefined) repositories.delete(id)
            return id
          }),
        (_, id) =>
          Effect.map(GitWorld, ({ repositories }) => id !== undefined && repositories.has(id))
      )
    )

    it.live("takes back a release that waits for a deployment which has ended", () =>
      planted(
        "candidate",
        () =>
          Effect.gen(function* () {
            const sql = yield* SqlClient
            const [first] = yield* rows(sql`SELECT id FROM releases`)
            yield* rows(
              sql`INSERT INTO deployments (id, owner_id, service_id, stage_id, number, cause, commit_sha, settings_revision, status, created_at)
                SELECT ${`dep_${other}`}, owner_id, service_id, stage_id, 0, cause, commit_sha, settings_revision, 'cancelled', 0 FROM deployments`
            )
            yield* rows(
              sql`INSERT INTO releases (id, owner_id, stage_id, deployment_id, number, artifact_key, artifact, settings, variables, state, created_at)
                SELECT ${`rel_${other}`}, owner_id, stage_id, ${`dep_${other}`}, 0, artifact_key, artifact, settings, variables, 'candidate', 0 FROM releases WHERE id = ${String(first?.id)}`
            )
          }),
        () =>
          Effect.gen(function* () {
            const sql = yield* SqlClient
            const [row] = yield* rows(sql`SELECT state FROM releases WHERE id = ${`rel_${other}`}`)
            return row?.state === "discarded"
          }),
        ["node"]
      )
    )

    it.live("makes rows agree on what is live", () =>
      planted(
        "live_release",
        () => Effect.flatMap(SqlClient, (sql) => rows(sql`UPDATE releases SET state = 'retired'`)),
        (it) =>
          Effect.gen(function* () {
            const sql = yield* SqlClient
            const [row] = yield* rows(sql`SELECT state FROM releases`)
            return row?.state === "live" && it.node.running.size === 1
          })
      )
    )

    it.live("tells a node again what it has forgotten", () =>
      planted(
        "node",
        () =>
          Effect.flatMap(SqlClient, (sql) =>
            rows(sql`UPDATE stages SET generation = generation + 5`)
          ),
        (it) =>
          Effect.gen(function* () {
            const sql = yield* SqlClient
            const [row] = yield* rows(sql`SELECT generation FROM stages`)
            const [stage] = it.node.stages.values()
            return stage?.generation === Number(row?.generation)
          })
      )
    )

    it.live("finds nothing wrong with what a node that came back still starts, or can't", () =>
      against(
        Effect.gen(function* () {
          const it = yield* scene
          it.commit({ page: "A" })
          yield* it.create()
          const { number } = yield* it.settled()
          yield* it.quiet((yield* it.row(number)).id)
          const { reconcile } = yield* Reconcilers.Reconciler
          const { awaitRelease } = yield* Publisher
          for (const state of ["starting", "failed"] as const) {
            for (const release of it.node.running.keys()) {
              it.node.running.set(release, state)
              it.node.restart(it.node.runs)
              yield* awaitRelease(release, (observed) => observed.state === state)
            }
            assert.deepStrictEqual(yield* reconcile, [], state)
          }
        }).pipe(Effect.provide(forPlatform(Reconcilers.layer(prompt))))
      )
    )

    it.live("tells a node everything once, however much it has forgotten", () =>
      against(
        Effect.gen(function* () {
          const it = yield* scene
          it.commit({ page: "A" })
          const names = ["one", "two", "three"].map((name) => ServiceName.make(name))
          for (const name of names) {
            yield* it.create(name)
            yield* it.settled(name)
          }
          const sql = yield* SqlClient
          const { reconcile } = yield* Reconcilers.Reconciler
          yield* rows(sql`UPDATE stages SET generation = generation + 5`)
          const before = it.node.snapshots
          const found = yield* reconcile
          assert.deepStrictEqual(
            found.map(({ kind }) => kind),
            names.map(() => "node")
          )
          yield* Effect.sync(() => [...it.node.stages.values()]).pipe(
            Effect.repeat({
              schedule: Schedule.spaced("5 millis"),
              until: (stages) => stages.every(({ generation }) => generation > 5)
            })
          )
          assert.deepStrictEqual(yield* reconcile, [])
          assert.strictEqual(it.node.snapshots, before + 1)
        }).pipe(Effect.provide(forPlatform(Reconcilers.layer(prompt))))
      )
    )

    it.live("leaves what is young, what has commits, and what has another name", () =>
      against(
        Effect.gen(function* () {
          yield* scene
          const { home } = yield* Platform
          const logs = yield* Logs
          const { repositories } = yield* GitWorld
          const { reconcile } = yield* Reconcilers.Reconciler
          mkdirSync(join(home, "work", `dep_${other}`), { recursive: true })
          mkdirSync(join(home, "work", "somebody-else"))
          const id = RepositoryId.make(`rep_${other}`)
          repositories.set(id, { branches: new Map(), commits: new Map([["c", {}]]) as never })
          assert.deepStrictEqual(yield* Effect.orDie(logs.kept), [])
          const found = yield* reconcile
          assert.deepStrictEqual(
            found.map(({ kind, mend }) => [kind, mend]),
            [["repository", null]]
          )
          assert.isTrue(repositories.has(id))
          assert.isTrue(existsSync(join(home, "work", `dep_${other}`)))
          assert.isTrue(existsSync(join(home, "work", "somebody-else")))
        }).pipe(Effect.provide(forPlatform(Reconcilers.layer({ ...prompt, grace: 60_000 }))))
      )
    )

    it.live(
      "starts what waits for a workflow that never began, and removes what is in the trash",
      () =>
        against(
          Effect.gen(function* () {
            const it = yield* scene
            const sql = yield* SqlClient
            const { reconcile } = yield* Reconcilers.Reconciler
            it.commit({ page: "A" })
            yield* it.create()
            const { number } = yield* it.settled()
            // Its end wakes the coordinator, which would find what is planted before we do.
            yield* it.quiet((yield* it.row(number)).id)
            // As a crash leaves it between the decision and the start.
            yield* rows(sql`UPDATE deployments SET status = 'committed'`)
            yield* rows(
              sql`INSERT INTO deployments (id, owner_id, service_id, stage_id, number, cause, commit_sha, settings_revision, status, created_at)
              SELECT ${`dep_${other}`}, owner_id, service_id, stage_id, 2, 'push', commit_sha, settings_revision, 'running', created_at FROM deployments`
            )
            yield* rows(sql`UPDATE stages SET deployments = 2`)
            const found = yield* reconcile
            assert.deepStrictEqual(
              found.map(({ kind }) => kind),
              ["workflow"]
            )
            assert.deepInclude(yield* it.settled(undefined, 2), { status: "live" })
            yield* rows(
              sql`UPDATE services SET trashed_at = ${Date.now()}, trashed_hostname = 'web'`
            )
            yield* rows(sql`DELETE FROM hostnames`)
            const trashed = yield* reconcile
            assert.include(
              trashed.map(({ kind }) => kind),
              "removal"
            )
            yield* Effect.repeat(rows(sql`SELECT id FROM services`), {
              schedule: Schedule.spaced("20 millis"),
              until: (left) => left.length === 0
            }).pipe(Effect.timeout("10 seconds"))
            assert.strictEqual(it.node.running.size, 0)
            assert.deepStrictEqual(yield* reconcile, [])
          }).pipe(Effect.provide(forPlatform(Reconcilers.layer(prompt))))
        )
    )
  })
})

type Planting = SqlClient | Platform | GitWorld | Deployments | Logs

const rows = (statement: Effect.Effect<ReadonlyArray<object>, unknown>) =>
  Effect.map(Effect.orDie(statement), (all) => all as ReadonlyArray<Record<string, unknown>>)
