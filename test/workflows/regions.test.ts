/** Several deploy instances at once: a service runs in the region that it was created in, for good. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Build } from "@deploy-mcp/domain/Build"
import { Services } from "@deploy-mcp/domain/commands/Services"
import { Deploy } from "@deploy-mcp/domain/Deploy"
import { RepositoryRef, ServiceName } from "@deploy-mcp/domain/model/Names"
import * as DeployMemory from "@deploy-mcp/providers/deploy/memory/DeployMemory"
import { testing } from "@deploy-mcp/runtime/compositions/testing"
import * as Instances from "@deploy-mcp/runtime/Instances"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { scene, web } from "./Scene.ts"

/** `local`, where the doubles run things, and `eu`, a node of its own with a build of its own. */
const twoRegions = (eu: Context.Context<Deploy>) =>
  Layer.merge(
    Layer.effect(
      Instances.Deploys,
      Effect.map(Deploy, (local) =>
        Instances.make(
          new Map([
            ["local", local],
            ["eu", Context.get(eu, Deploy)]
          ]),
          "local",
          (name): Readonly<Record<string, string>> => (name === "eu" ? { build: "images" } : {})
        )
      )
    ),
    Layer.effect(
      Instances.Builds,
      Effect.map(Build, (build) =>
        Instances.make(
          new Map([
            ["local", build],
            ["images", build]
          ]),
          "local"
        )
      )
    )
  )

it.live("a service runs where it was asked for, and nowhere else", () =>
  Effect.gen(function* () {
    const home = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-regions-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const eu = yield* Layer.build(Layer.fresh(DeployMemory.layer))
    const euNode = Context.get(eu, DeployMemory.NodeWorld)
    yield* Effect.gen(function* () {
      const it = yield* scene
      const services = yield* Services
      const sql = yield* SqlClient
      const create = (region?: string, name: ServiceName = web) =>
        it.asOwner(
          services.create({
            name,
            repo: RepositoryRef.make("web"),
            settings: {},
            variables: {},
            ...(region === undefined ? {} : { region })
          })
        )
      it.commit({ program: "A" })
      const { failure: unknown } = yield* Effect.flip(create("mars"))
      assert.strictEqual(unknown.code, "invalid_argument")
      assert.deepStrictEqual(unknown.evidence, ["regions: local, eu"])

      assert.isTrue((yield* create("eu")).created)
      assert.strictEqual((yield* it.settled()).status, "live")
      assert.strictEqual(euNode.running.size, 1)
      assert.strictEqual(it.node.running.size, 0)
      const rows = yield* sql`SELECT deploy_instance, build_instance FROM services`
      assert.deepStrictEqual(Object.values(rows[0] ?? {}), ["eu", "images"])

      // The same again is the same thing, also without its region; another region is another thing.
      assert.isFalse((yield* create("eu")).created)
      assert.isFalse((yield* create()).created)
      assert.strictEqual((yield* Effect.flip(create("local"))).failure.code, "name_taken")

      yield* create(undefined, ServiceName.make("other"))
      yield* it.settled(ServiceName.make("other"))
      assert.strictEqual(euNode.running.size, 1)
      assert.strictEqual(it.node.running.size, 1)
      const epochs = yield* sql`SELECT id FROM nodes ORDER BY id`
      assert.deepStrictEqual(
        epochs.map(({ id }) => id),
        ["eu", "local"]
      )
      yield* it.remove()
      assert.strictEqual(euNode.running.size, 0)
    }).pipe(Effect.provide(testing(home, { instances: twoRegions(eu) })))
  }).pipe(Effect.scoped)
)
