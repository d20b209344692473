/**
 * Two control planes on one Postgres, with the same repositories, builds and node, asked for the same
 * things at the same time. However that goes, rows and node agree in the end and nothing is there twice.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Services } from "@deploy-mcp/domain/commands/Services"
import type { DeploymentId } from "@deploy-mcp/domain/model/Ids"
import { IdempotencyKey, RepositoryRef, ServiceName } from "@deploy-mcp/domain/model/Names"
import { NodeWorld } from "@deploy-mcp/providers/deploy/memory/DeployMemory"
import { doublesIn, testing } from "@deploy-mcp/runtime/compositions/testing"
import { onPostgres } from "@deploy-mcp/runtime/store/testing/Databases"
import { Coordinator } from "@deploy-mcp/runtime/workflows/Coordinator"
import * as NodeClusterHttp from "@effect/platform-node/NodeClusterHttp"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Option, References, Schedule } from "effect"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import { SqlClient } from "effect/sql/SqlClient"
import { scene } from "./Scene.ts"

const names = Array.from({ length: 10 }, (_, index) => ServiceName.make(`web-${index}`))
const requests = Array.from({ length: 80 }, (_, index) => index)
const atOnce = { concurrency: "unbounded" } as const

onPostgres((fresh) => {
  it.live(
    "two that create, push, redeploy and cancel at once agree in the end",
    () =>
      Effect.gen(function* () {
        const controls = yield* twoControls(fresh())
        const [one, two] = controls
        one.it.commit({ page: "0" })

        const created = yield* Effect.forEach(
          names,
          (name) => Effect.forEach([one, two, one, two], ({ it }) => it.create(name), atOnce),
          atOnce
        )
        for (const answers of created) {
          assert.strictEqual(answers.filter(({ created }) => created).length, 1)
        }

        const cancelled: Array<DeploymentId> = []
        const request = Effect.fnUntraced(function* (index: number) {
          const asked = controls[index % 2] ?? one
          const other = controls[(index + 1) % 2] ?? two
          if (index % 8 === 0) {
            asked.it.commit({ page: `${index}` })
            yield* asked.it.hint()
          }
          const { number, service } = yield* asked.it.redeploy(names[index % names.length])
          if (index % 3 !== 0) return
          yield* Effect.sleep(index * 2)
          const id = yield* asked.idOf(service, number)
          if (yield* other.cancel(id)) cancelled.push(id)
        })
        yield* Effect.forEach(requests, request, { concurrency: 20 })
        // The newest of a service may have been one that was cancelled.
        yield* Effect.forEach(names, (name) => two.it.redeploy(name), atOnce)

        yield* one.quiet
        yield* one.agreement(cancelled)
        for (const name of names) {
          const deployments = yield* two.it.list(name)
          assert.strictEqual(deployments.filter(({ status }) => status === "live").length, 1)
        }
      }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error")),
    180_000
  )

  it.live(
    "the same request with one key is one, whichever of the two is asked",
    () =>
      Effect.gen(function* () {
        const controls = yield* twoControls(fresh())
        const [one, two] = controls
        one.it.commit({ page: "0" })
        const asked = [one, two, one, two, one, two]
        for (const name of names.slice(0, 3)) {
          yield* Effect.forEach(asked, (control) => control.createOnce(name), atOnce)
          yield* one.quiet
          for (const key of ["first", "second"]) {
            const answers = yield* Effect.forEach(
              asked,
              (control) => control.redeployOnce(name, `${name}-${key}`),
              atOnce
            )
            assert.lengthOf([...new Set(answers.map(({ deployment }) => deployment))], 1)
            yield* one.quiet
          }
          const deployments = yield* two.it.list(name)
          assert.deepStrictEqual(
            deployments.map(({ cause, status }) => [cause, status]),
            [
              ["redeploy", "live"],
              ["redeploy", "replaced"],
              ["create", "replaced"]
            ]
          )
        }
      }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error")),
    180_000
  )
})

/** What a test does to one of the two, and sees through it. */
const control = Effect.gen(function* () {
  const it = yield* scene
  const coordinator = yield* Coordinator
  const sql = yield* SqlClient
  const node = yield* NodeWorld
  const services = yield* Services

  const stages = sql<{ id: string; route: string; wanted: number; live: number }>`
    SELECT stages.id, stages.live_release_id AS route,
      (SELECT COUNT(*) FROM releases WHERE stage_id = stages.id AND state IN ('candidate', 'live')) AS wanted,
      (SELECT COUNT(*) FROM releases WHERE id = live_release_id AND state = 'live') AS live
    FROM stages ORDER BY stages.id`

  return {
    it,
    cancel: (id: DeploymentId) => coordinator.cancel(it.owner, id),
    createOnce: (name: ServiceName) =>
      it.asOwner(
        services.create({
          name,
          repo: RepositoryRef.make("web"),
          settings: {},
          variables: {},
          idempotencyKey: IdempotencyKey.make(`create-${name}`)
        })
      ),
    redeployOnce: (name: ServiceName, key: string) =>
      it.asOwner(services.redeploy({ name, idempotencyKey: IdempotencyKey.make(key) })),
    idOf: (service: string, number: number) =>
      sql<{ id: DeploymentId }>`SELECT deployments.id FROM deployments
        JOIN services ON services.id = deployments.service_id
        WHERE services.name = ${service} AND deployments.number = ${number}`.pipe(
        Effect.map(([row]) => Option.getOrThrow(Option.fromNullishOr(row)).id)
      ),
    /** Until no deployment is open and every candidate was taken back. */
    quiet: sql<{ open: number }>`SELECT
        (SELECT COUNT(*) FROM deployments WHERE status IN ('queued', 'running') OR finished_at IS NULL) +
        (SELECT COUNT(*) FROM releases WHERE state = 'candidate') AS open`.pipe(
      Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: ([row]) => row?.open === 0 }),
      Effect.timeout("60 seconds")
    ),
    agreement: Effect.fnUntraced(function* (cancelled: ReadonlyArray<DeploymentId>) {
      const rows = yield* stages
      assert.deepStrictEqual(
        rows.map(({ wanted, live }) => [wanted, live]),
        names.map(() => [1, 1])
      )
      const routes = rows.map(({ route }) => route).sort()
      yield* Effect.sync(() => [...node.running.keys()].sort()).pipe(
        Effect.repeat({
          schedule: Schedule.spaced("20 millis"),
          until: (running) => running.join() === routes.join()
        }),
        Effect.timeout("5 seconds")
      )
      for (const { id, route } of rows) {
        const seen = [...node.stages.values()].find((stage) => stage.stage === id)
        assert.strictEqual(seen?.route, route)
      }
      const hostnames = yield* sql<{
        n: number
      }>`SELECT COUNT(DISTINCT stage_id) AS n FROM hostnames`
      assert.strictEqual(hostnames[0]?.n, names.length)
      const taken = yield* sql<{ status: string }>`SELECT DISTINCT status FROM deployments
        WHERE ${sql.in("id", cancelled)}`
      assert.deepStrictEqual(taken, [{ status: "cancelled" }])
    })
  }
})

/** Both start at once on an empty database, so their migrations meet too. */
const twoControls = Effect.fnUntraced(function* (databaseUrl: string) {
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-race-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const doubles = Layer.succeedContext(yield* Layer.build(doublesIn(home)))
  const start = Effect.gen(function* () {
    const runner = runnerOn(yield* freePort)
    const memoMap = yield* Layer.makeMemoMap
    return yield* Layer.buildWithMemoMap(
      testing(home, { databaseUrl, doubles, runner }),
      memoMap,
      yield* Effect.scope
    )
  })
  const [left, right] = yield* Effect.all([start, start], atOnce)
  return [
    yield* Effect.provideContext(control, left),
    yield* Effect.provideContext(control, right)
  ] as const
})

const runnerOn = (port: number) =>
  NodeClusterHttp.layer({
    transport: "http",
    storage: "sql",
    shardingConfig: {
      runnerAddress: Option.some(RunnerAddress.make("127.0.0.1", port)),
      refreshAssignmentsInterval: "500 millis",
      entityMessagePollInterval: "500 millis",
      entityTerminationTimeout: "2 seconds"
    }
  }).pipe(Layer.orDie)

const freePort = Effect.callback<number>((resume) => {
  const probe = createServer()
  probe.listen(0, "127.0.0.1", () => {
    const address = probe.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    probe.close(() => resume(Effect.succeed(port)))
  })
})
