/** What holds of containers on a real engine, beyond what every Deploy promises. */
import type { ReleaseId } from "@deploy-mcp/domain/model/Ids"
import type { LogLine } from "@deploy-mcp/domain/model/LogLine"
import type { ImageWorkload, ProcessFailure } from "@deploy-mcp/domain/node/NodeProtocol"
import { assert, it, layer as withLayer } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import * as Engine from "../../testing/DockerEngine.ts"
import {
  command,
  control,
  controlOf,
  DockerNode,
  deafProvider,
  healthy,
  inspect,
  often,
  page,
  released,
  stageOf,
  visit
} from "./DockerNode.ts"

const world = Layer.merge(DockerNode.layer, Engine.layer)
const { DockerEngine } = Engine

const untilFound = { until: (found: string | null) => found !== null, schedule: often }
const eventually = (isSo: () => boolean) =>
  Effect.sync(isSo).pipe(Effect.repeat({ until: (so) => so, schedule: often }))

/** Its page is what this prints. */
const printing = (line: string) =>
  `mkdir /tmp/site; (${line}) > /tmp/site/index.html 2>&1; exec httpd -f -p "$PORT" -h /tmp/site`

if (Engine.isInstalled) {
  withLayer(world, { excludeTestServices: true })("containers of the docker provider", (it) => {
    it.effect("have no capabilities, a read-only root, their limits and their variables", () =>
      Effect.gen(function* () {
        const told = yield* control
        const variables = yield* told.seal({ GREETING: "hello there", TOKEN: "a-very-secret-one" })
        const look =
          "(grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status; touch /x; echo $GREETING)"
        const spec = stageOf(1, [
          yield* command(`echo "my token is $TOKEN"; ${printing(look)}`, { variables, cpu: 0.5 })
        ])
        yield* told.deploy.ensure(spec)
        const { endpoint, port } = yield* healthy(told, spec.route)
        assert.strictEqual(port, 8080)
        const said = (yield* visit(endpoint ?? null)) ?? ""
        assert.match(said, /CapEff:\s0+\nCapBnd:\s0+\nNoNewPrivs:\s1\n/u)
        assert.include(said, "Read-only file system")
        assert.include(said, "hello there")
        const { text } = yield* inspect(spec.route)
        assert.include(text, '"NanoCpus":500000000')
        assert.include(text, '"PidsLimit":512')
        assert.include(text, '"Memory":67108864')
        assert.notInclude(/"Labels":\{[^}]*\}/u.exec(text)?.[0] ?? "", "a-very-secret-one")
        const query = { stage: spec.stage, after: null, tail: 10, follow: false }
        const lines = yield* Stream.runCollect(told.deploy.logs(query))
        assert.deepStrictEqual(
          lines.map(({ text }) => text),
          ["my token is ••••••"]
        )
        yield* told.deploy.remove(spec.stage, 1)
      })
    )

    const failures: ReadonlyArray<
      [ProcessFailure["code"], string, Partial<ImageWorkload>, RegExp]
    > = [
      ["out_of_memory", "tail /dev/zero", { memory: 16 }, /more than its 16 MiB/u],
      ["exited", "echo oh no; exit 3", {}, /exit code 3/u],
      ["start_failed", "no-such-program", {}, /'no-such-program' does not exist/u],
      ["start_failed", "true", { image: "nobody-has-this:1" }, /is not on this node/u],
      ["no_port", "sleep 60", {}, /listened on no port/u],
      ["loopback_only", 'httpd -f -p "127.0.0.1:$PORT"', {}, /only on the loopback/u],
      ["wrong_port", "httpd -f -p 3000", { port: 9000 }, /port 3000, not on port 9000/u],
      ["unhealthy", 'httpd -f -p "$PORT"', { healthPath: "/up" }, /^\/up gave .*: answered 404\.$/u]
    ]
    it.effect("say why a release has failed, each in the catalogue's words", () =>
      Effect.gen(function* () {
        const told = yield* control
        const specs = yield* Effect.forEach(failures, ([, start, more], index) =>
          Effect.map(command(start, { startTimeout: 2500, ...more }), (workload) => ({
            ...stageOf(20 + index, [workload]),
            route: null
          }))
        )
        yield* told.deploy.snapshot(specs)
        for (const [index, [code, , , cause]] of failures.entries()) {
          const release = specs[index]?.releases[0]?.release
          assert(release !== undefined)
          const { failure } = yield* told.until(release, ({ state }) => state === "failed")
          assert.strictEqual(failure?.code, code, failure?.cause)
          assert.match(failure?.cause ?? "", cause)
        }
        yield* told.deploy.snapshot([])
      })
    )

    it.effect("are found on another port, when nobody has named one", () =>
      Effect.gen(function* () {
        const told = yield* control
        const spec = stageOf(2, [yield* command(`PORT=3000; ${printing("echo -n here")}`)])
        yield* told.deploy.ensure(spec)
        const { endpoint, port } = yield* healthy(told, spec.route)
        assert.strictEqual(port, 3000)
        assert.strictEqual(yield* visit(endpoint ?? null), "here")
        yield* told.deploy.remove(spec.stage, 1)
      })
    )

    it.effect("reach those of the same owner and of no other", () =>
      Effect.gen(function* () {
        const told = yield* control
        const first = stageOf(3, [yield* page("mine")])
        yield* told.deploy.ensure(first)
        yield* healthy(told, first.route)
        const { address } = yield* inspect(first.route)
        // The image's own wget is linked statically and can't look addresses up.
        const call = (patience: number) => {
          const ask = `fetch("http://${address}:8080", { signal: AbortSignal.timeout(${patience}) })`
          const print = "(text) => process.stdout.write(text)"
          const script = `${ask}.then((page) => page.text()).then(${print}, () => console.log("none"))`
          // A connection that nobody answers would keep it waiting.
          const end = "setTimeout(process.exit, 100)"
          return command(printing(`node -e '${script}.then(() => ${end})'`), { memory: 256 })
        }
        const same = stageOf(4, [yield* call(15_000)])
        const other = { ...stageOf(5, [yield* call(1500)]), tenant: 2 }
        yield* Effect.andThen(told.deploy.ensure(same), told.deploy.ensure(other))
        const said = (release: ReleaseId | null) =>
          Effect.flatMap(healthy(told, release), ({ endpoint }) => visit(endpoint ?? null))
        assert.strictEqual(yield* said(same.route), "mine")
        assert.strictEqual(yield* said(other.route), "none\n")
        yield* told.deploy.snapshot([])
      })
    )

    it.effect("come back at the same address, when they end and when somebody kills them", () =>
      Effect.gen(function* () {
        const { call } = yield* DockerEngine
        const told = yield* control
        const spec = stageOf(6, [yield* page("here")])
        yield* told.deploy.ensure(spec)
        const first = yield* healthy(told, spec.route)
        const isBack = (times: number) =>
          told.until(
            first.release,
            ({ restarts, state }) => state === "healthy" && restarts === times
          )
        process.kill((yield* inspect(spec.route)).pid, "SIGKILL")
        assert.deepStrictEqual((yield* isBack(1)).endpoint, first.endpoint)
        // This one the engine does not start again by itself.
        yield* call("POST", `/containers/${(yield* inspect(spec.route)).id}/kill`)
        assert.deepStrictEqual((yield* isBack(2)).endpoint, first.endpoint)
        yield* told.deploy.snapshot([])
      })
    )

    it.effect("come back with their engine, also when nobody is in control", () =>
      Effect.gen(function* () {
        const { start, stop } = yield* DockerEngine
        const spec = stageOf(8, [yield* page("here")])
        const endpoint = yield* Effect.gen(function* () {
          const told = yield* control
          yield* told.deploy.ensure(spec)
          const first = yield* healthy(told, spec.route)
          yield* stop
          yield* eventually(() => told.everSeen.some(({ type }) => type === "away"))
          assert.strictEqual(yield* visit(first.endpoint ?? null), null)
          yield* start
          yield* eventually(() => told.everSeen.filter(({ type }) => type === "hello").length === 2)
          yield* told.deploy.snapshot([spec])
          assert.deepStrictEqual((yield* healthy(told, spec.route)).endpoint, first.endpoint)
          return first.endpoint ?? null
        }).pipe(Effect.scoped)
        // Nobody is in control now.
        yield* Effect.andThen(stop, start)
        assert.strictEqual(yield* visit(endpoint).pipe(Effect.repeat(untilFound)), "here")
        yield* Effect.scoped(Effect.flatMap(control, ({ deploy }) => deploy.snapshot([])))
      })
    )

    it.effect(
      "are made once, whenever control is cut off, and made anew for a release that returns",
      () =>
        Effect.gen(function* () {
          const spec = stageOf(9, [yield* page("here")])
          const running = Effect.map(
            DockerEngine.use(({ call }) => call("GET", "/containers/json?all=true")),
            ({ text }) =>
              [...text.matchAll(/"Names":\["\/(kit-stage-9[^"]*)"\]/gu)].map(([, name]) => name)
          )
          for (const pause of [0, 30, 100, 300]) {
            // It says what it wants and is gone.
            yield* Effect.scoped(
              Effect.flatMap(control, ({ deploy }) =>
                Effect.andThen(deploy.ensure(spec), Effect.sleep(pause))
              )
            )
          }
          const told = yield* control
          yield* told.deploy.snapshot([spec])
          yield* healthy(told, spec.route)
          assert.lengthOf(yield* running, 1)
          const { id } = yield* inspect(spec.route)
          yield* told.deploy.ensure({ ...spec, generation: 2, route: null, releases: [] })
          yield* told.until(released(spec), ({ state }) => state === "stopped")
          const variables = yield* told.seal({ ROTATED: "a new secret" })
          const again = stageOf(9, [yield* command(printing('echo -n "$ROTATED"'), { variables })])
          yield* told.deploy.ensure({ ...again, generation: 3 })
          const { endpoint } = yield* healthy(told, spec.route)
          assert.notStrictEqual((yield* inspect(spec.route)).id, id)
          assert.strictEqual(yield* visit(endpoint ?? null), "a new secret")
          yield* told.deploy.snapshot([])
        })
    )

    it.effect("are made and taken away once, when every answer is lost the first time", () =>
      Effect.gen(function* () {
        const { call } = yield* DockerEngine
        const told = yield* controlOf(deafProvider)
        const spec = stageOf(12, [yield* page("here", { workers: { clock: "sleep 600" } })])
        yield* told.deploy.ensure(spec)
        const { endpoint } = yield* healthy(told, spec.route)
        assert.strictEqual(yield* visit(endpoint ?? null), "here")
        const count = Effect.map(
          call("GET", "/containers/json?all=true"),
          ({ text }) => text.split('"/kit-stage-12-').length - 1
        )
        yield* count.pipe(Effect.repeat({ until: (found) => found >= 2, schedule: often }))
        assert.strictEqual(yield* count, 2)
        yield* told.deploy.ensure({ ...spec, generation: 2, route: null, releases: [] })
        yield* told.until(released(spec), ({ state }) => state === "stopped")
        yield* count.pipe(Effect.repeat({ until: (found) => found === 0, schedule: often }))
      })
    )

    it.effect("obey the newest control, and no other", () =>
      Effect.gen(function* () {
        const older = yield* control
        const newer = yield* control
        const spec = stageOf(10, [yield* page("here")])
        yield* newer.deploy.ensure(spec)
        const refused = yield* Effect.flip(older.deploy.remove(spec.stage, 2))
        assert.include(JSON.stringify(refused.reason), "a newer control is in charge")
        yield* healthy(newer, spec.route)
        yield* newer.deploy.snapshot([])
      })
    )

    it.effect("print lines that are followed across a restart, each once and in order", () =>
      Effect.gen(function* () {
        const told = yield* control
        const count = 'for i in 1 2 3; do echo "line $i"; done; echo oh >&2'
        const spec = stageOf(11, [yield* command(`${count}; ${printing("echo -n here")}`)])
        yield* told.deploy.ensure(spec)
        yield* healthy(told, spec.route)
        const query = { stage: spec.stage, after: null, tail: 2, follow: true }
        const lines: Array<LogLine> = []
        const following = yield* told.deploy.logs(query).pipe(
          Stream.take(6),
          Stream.runForEach((line) => Effect.sync(() => lines.push(line))),
          Effect.forkChild
        )
        yield* eventually(() => lines.length === 2)
        process.kill((yield* inspect(spec.route)).pid, "SIGKILL")
        yield* Fiber.join(following)
        const texts = lines.map(({ text }) => text)
        assert.deepStrictEqual(texts.slice(2).toSorted(), ["line 1", "line 2", "line 3", "oh"])
        assert.lengthOf(new Set(lines.map(({ seq }) => seq)), 6)
        const [, last] = lines
        const rest = yield* Stream.runCollect(
          told.deploy.logs({ ...query, after: last?.seq ?? 0, follow: false })
        )
        assert.deepStrictEqual(rest, lines.slice(2))
        yield* told.deploy.snapshot([])
      })
    )

    it.effect("of somebody else are left alone, and each platform has its own", () =>
      Effect.gen(function* () {
        const { call, image } = yield* DockerEngine
        const created = yield* call("POST", "/containers/create?name=somebody-elses", {
          Image: image,
          Cmd: ["sleep", "600"],
          Labels: {
            "deploy-mcp.stage": "stg_eeeeeeeeeeeeeeeeeeee",
            "deploy-mcp.platform": "another"
          }
        })
        assert.strictEqual(created.status, 201, created.text)
        yield* call("POST", "/containers/somebody-elses/start")
        yield* call("POST", "/networks/create", { Name: "somebody-elses" })
        const told = yield* control
        const spec = stageOf(7, [yield* page("here")])
        yield* told.deploy.ensure(spec)
        yield* healthy(told, spec.route)
        yield* told.deploy.snapshot([])
        yield* told.until(released(spec), ({ state }) => state === "stopped")
        const ours = () =>
          Effect.map(call("GET", "/networks"), ({ text }) => text.includes('"kit-'))
        yield* ours().pipe(Effect.repeat({ until: (left) => !left, schedule: often }))
        assert.include(
          (yield* call("GET", "/containers/somebody-elses/json")).text,
          '"Running":true'
        )
        assert.strictEqual((yield* call("GET", "/networks/somebody-elses")).status, 200)
        yield* call("DELETE", "/containers/somebody-elses?force=true")
      })
    )
  })
  const lasting = Layer.merge(DockerNode.layer, Engine.layerWith({ liveRestore: true }))
  withLayer(lasting, { excludeTestServices: true })(
    "containers of an engine with live-restore",
    (it) => {
      it.effect("never notice that it is away", () =>
        Effect.gen(function* () {
          const { start, stop } = yield* DockerEngine
          const told = yield* control
          const spec = stageOf(1, [yield* page("here")])
          yield* told.deploy.ensure(spec)
          const first = yield* healthy(told, spec.route)
          const { pid } = yield* inspect(spec.route)
          yield* stop
          yield* eventually(() => told.everSeen.some(({ type }) => type === "away"))
          const refused = yield* Effect.flip(told.deploy.ensure(spec))
          assert.isTrue(refused.isRetryable)
          yield* start
          yield* eventually(() => told.everSeen.filter(({ type }) => type === "hello").length === 2)
          yield* told.deploy.snapshot([spec])
          const again = yield* healthy(told, spec.route)
          assert.deepStrictEqual(again, first)
          assert.strictEqual((yield* inspect(spec.route)).pid, pid)
          assert.strictEqual(yield* visit(again.endpoint ?? null), "here")
        })
      )
    }
  )
} else {
  it.skip("containers of the docker provider", () => {})
}
