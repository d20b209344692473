/** What ends too often is paused, on a real engine that would start it again for ever. */
import { assert, it, layer as withLayer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import * as Engine from "../../testing/DockerEngine.ts"
import {
  type Control,
  controlOf,
  DockerNode,
  healthy,
  impatientProvider,
  inspect,
  often,
  page,
  released,
  stageOf,
  visit
} from "./DockerNode.ts"

const world = Layer.merge(DockerNode.layer, Engine.layer)
const { DockerEngine } = Engine

const Listed = Schema.fromJsonString(
  Schema.Array(
    Schema.Struct({ Id: Schema.String, Names: Schema.Array(Schema.String), State: Schema.String })
  )
)

if (Engine.isInstalled) {
  withLayer(world, { excludeTestServices: true })("containers that end too often", (it) => {
    it.effect("are stopped and stay so, until there is another release", () =>
      Effect.gen(function* () {
        const { start, stop } = yield* DockerEngine
        const told = yield* controlOf(impatientProvider)
        const spec = stageOf(13, [yield* page("mortal")])
        const release = released(spec)
        const paused = (by: Control) =>
          by.until(release, ({ failure }) => failure?.code === "paused")
        const runs = Effect.map(inspect(release), ({ id }) => id !== undefined)
        yield* told.deploy.ensure(spec)
        for (const end of [0, 1, 2]) {
          yield* told.until(
            release,
            ({ restarts, state }) => state === "healthy" && restarts === end
          )
          process.kill((yield* inspect(release)).pid, "SIGKILL")
        }
        const { failure, state } = yield* paused(told)
        assert.strictEqual(state, "failed")
        assert.match(
          failure?.cause ?? "",
          /^The process ended 3 times within ten minutes and is not started any more\. ./u
        )
        yield* runs.pipe(Effect.repeat({ until: (so) => !so, schedule: often }))

        // Neither the engine starts it again nor whoever is in control next.
        yield* Effect.andThen(stop, start)
        const next = yield* controlOf(impatientProvider)
        yield* next.deploy.snapshot([spec])
        assert.deepStrictEqual((yield* paused(next)).failure, failure)
        assert.isFalse(yield* runs)

        const other = stageOf(14, [yield* page("correct")])
        const { releases, route } = other
        yield* next.deploy.ensure({ ...spec, generation: 2, route, releases })
        const { endpoint } = yield* healthy(next, route)
        assert.strictEqual(yield* visit(endpoint ?? null), "correct")
        // It has left, and may come back.
        yield* next.until(release, ({ state }) => state === "stopped")
        yield* next.deploy.ensure({ ...spec, generation: 3 })
        yield* healthy(next, release)
        yield* next.deploy.snapshot([])
      })
    )

    it.effect("are paused alone where they are workers", () =>
      Effect.gen(function* () {
        const { call } = yield* DockerEngine
        const told = yield* controlOf(impatientProvider)
        const workers = { broken: "exit 3", busy: "sleep 600" }
        const spec = stageOf(15, [yield* page("here", { workers })])
        /** The state and the id of a worker's container; null: there is none. */
        const worker = (name: string) =>
          Effect.map(call("GET", "/containers/json?all=true"), ({ text }) => {
            const found = Schema.decodeUnknownSync(Listed)(text).find(({ Names }) =>
              Names.some((one) => one.startsWith("/kit-stage-15-") && one.endsWith(`-${name}`))
            )
            return found === undefined ? null : { state: found.State, id: found.Id }
          })
        const becomes = (name: string, state: string) =>
          worker(name).pipe(
            Effect.repeat({ until: (one) => one?.state === state, schedule: often }),
            Effect.map((one) => one?.id)
          )
        yield* told.deploy.ensure(spec)
        const { endpoint } = yield* healthy(told, spec.route)
        const broken = yield* becomes("broken", "exited")
        const started = Effect.map(
          call("GET", `/containers/${broken}/json`),
          ({ text }) => /"StartedAt":"[^"]+"/u.exec(text)?.[0]
        )
        const last = yield* started
        yield* becomes("busy", "running")

        // Whoever comes next starts what is missing, and leaves it alone.
        yield* call("DELETE", `/containers/${(yield* worker("busy"))?.id}?force=true`)
        const next = yield* controlOf(impatientProvider)
        yield* next.deploy.snapshot([spec])
        yield* becomes("busy", "running")
        assert.deepStrictEqual(yield* worker("broken"), { state: "exited", id: broken ?? "" })
        assert.strictEqual(yield* started, last)
        assert.strictEqual(yield* visit(endpoint ?? null), "here")
        yield* next.deploy.snapshot([])
      })
    )
  })
} else {
  it.skip("containers that end too often", () => {})
}
