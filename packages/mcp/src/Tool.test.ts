import type { Failure } from "@deploy-mcp/domain/Failure"
import { allScopes, Principal } from "@deploy-mcp/domain/model/Principal"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Redacted, Schema } from "effect"
import { allTools, findTool, toolsFor } from "./Catalog.ts"
import { Progress, silent } from "./Progress.ts"
import { type Commands, callTool, field, make } from "./Tool.ts"
import * as Double from "./testing/CommandsDouble.ts"

const within = <A, E>(
  effect: Effect.Effect<A, E, Commands | Principal | Progress>,
  options: { readonly seen?: Double.Seen; readonly key?: keyof typeof Double.keys } = {}
) =>
  effect.pipe(
    Effect.provideService(Principal, Double.keys[options.key ?? "dk_live_owner"]),
    Effect.provideService(Progress, silent),
    Effect.provide(Double.layer(options.seen))
  )

const call = (name: string, args: unknown) => {
  const tool = findTool(name, ["deploy", "keys"])
  return tool ? callTool(tool, args) : Effect.die(`no tool ${name}`)
}
const failureOf = (
  name: string,
  args: unknown,
  key?: keyof typeof Double.keys
): Effect.Effect<Failure> =>
  within(call(name, args), key ? { key } : {}).pipe(
    Effect.flip,
    Effect.map(({ failure }) => failure),
    Effect.orDie
  )

describe("arguments", () => {
  it.effect("an unknown one is named, with the nearest known", () =>
    Effect.gen(function* () {
      const failure = yield* failureOf("get_service", { name: "web", include_envs: true })
      assert.strictEqual(failure.code, "unknown_argument")
      assert.include(failure.cause, "'include_envs'")
      assert.include(failure.next, "'include_env' instead of 'include_envs'")
      assert.include(failure.evidence.join(), "runtime_log_lines")
    })
  )

  it.effect("a bad one is named, with its rule and an example", () =>
    Effect.gen(function* () {
      const name = yield* failureOf("get_service", { name: "My App" })
      assert.strictEqual(name.code, "invalid_argument")
      assert.include(name.cause, "'name': 1 to 40 characters")
      assert.include(name.cause, "e.g. my-saas")
      const port = yield* failureOf("create_service", { repo: "web", name: "web", port: 99_999 })
      assert.include(port.cause, "'port': expected a value between 1 and 65535")
      assert.include(port.evidence.join(), "e.g. 3000")
    })
  )

  it.effect("all that are wrong are named at once, missing ones too", () =>
    Effect.gen(function* () {
      const failure = yield* failureOf("create_service", { name: "Web", memory: 1 })
      assert.include(failure.cause, "'repo': is required")
      assert.include(failure.cause, "'name'")
      assert.include(failure.cause, "'memory'")
    })
  )

  it.effect("null counts as left out", () =>
    Effect.gen(function* () {
      const result = yield* within(call("list_services", { project: null }))
      assert.strictEqual(result.total, 2)
    })
  )

  it.effect("something other than an object is refused", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* failureOf("get_service", "web")).code, "invalid_argument")
      assert.strictEqual((yield* failureOf("get_service", ["web"])).code, "invalid_argument")
    })
  )

  it.effect("values are never repeated, wherever they stood", () =>
    Effect.gen(function* () {
      const secret = "s3cr3t-value"
      for (const args of [
        { repo: "web", name: "web", env_vars: { "BAD-NAME": secret } },
        { repo: "web", name: "web", env_vars: { KEY: { nested: secret } } },
        { repo: "web", name: "web", env_vars: secret },
        { repo: "web", name: "web", env_vars: { KEY: secret }, port: secret },
        { repo: secret.toUpperCase(), name: "web" },
        { repo: "web", name: "taken", env_vars: { KEY: secret } },
        { repo: "web", name: "web", env_vars: { KEY: `${secret}${"x".repeat(40_000)}` } }
      ]) {
        const failure = yield* failureOf("create_service", args)
        assert.notInclude(JSON.stringify(failure).toLowerCase(), secret)
      }
    })
  )

  it.effect("variables arrive redacted, settings apart from them", () =>
    Effect.gen(function* () {
      const seen = Double.nothingSeen()
      yield* within(
        call("create_service", {
          repo: "awake-dassie/web",
          name: "web",
          memory: 512,
          start_command: "node server.js",
          env_vars: { API_KEY: "s3cr3t" },
          idempotency_key: "abc"
        }),
        { seen }
      )
      const created = seen.created[0]
      assert.deepStrictEqual(created?.settings, { memory: 512, start_command: "node server.js" })
      assert.strictEqual(created?.idempotencyKey, "abc")
      const variables = Object.values(created?.variables ?? {})
      assert.isTrue(variables.every((value) => Redacted.isRedacted(value)))
      assert.deepStrictEqual(variables.map(Redacted.value), ["s3cr3t"])
      assert.notInclude(JSON.stringify(created), "s3cr3t")
    })
  )
})

describe("scopes", () => {
  it("a key is shown only what it may call", () => {
    const names = toolsFor(Double.keys.dk_live_reader, ["deploy"]).map(({ name }) => name)
    assert.include(names, "get_logs")
    assert.include(names, "whoami")
    assert.notInclude(names, "create_service")
    assert.notInclude(names, "create_key")
    assert.lengthOf(toolsFor({ ...Double.keys.dk_live_owner, scopes: allScopes }, ["deploy"]), 20)
  })

  it.effect("a hidden tool is refused, before its arguments are looked at", () =>
    Effect.gen(function* () {
      const failure = yield* failureOf("delete_service", { nonsense: 1 }, "dk_live_reader")
      assert.strictEqual(failure.code, "forbidden")
      assert.include(failure.cause, "services:delete")
    })
  )

  it.effect("values of variables and writing tokens need their own scopes", () =>
    Effect.gen(function* () {
      const env = yield* failureOf(
        "get_service",
        { name: "web", include_env: true },
        "dk_live_reader"
      )
      assert.include(env.cause, "variables:read")
      const reader = { ...Double.keys.dk_live_reader, scopes: ["repositories:read"] as const }
      const token = yield* within(
        call("get_git_token", { name: "web" }).pipe(
          Effect.provideService(Principal, reader),
          Effect.flip
        )
      )
      assert.include(token.failure.cause, "repositories:write")
      const read = yield* within(
        call("get_git_token", { name: "web", access: "read" }).pipe(
          Effect.provideService(Principal, reader)
        )
      )
      assert.strictEqual(read.access, "read")
    })
  )
})

describe("calls", () => {
  it.effect("delete_service deletes; a confirm that differs stops it", () =>
    Effect.gen(function* () {
      const seen = Double.nothingSeen()
      const slip = yield* Effect.flip(
        within(call("delete_service", { name: "web", confirm: "wbe" }), { seen })
      )
      assert.strictEqual(slip.failure.code, "invalid_argument")
      assert.deepStrictEqual(seen.removed, [])
      yield* within(call("delete_service", { name: "web", confirm: "web" }), { seen })
      yield* within(call("delete_service", { name: "web" }), { seen })
      assert.deepStrictEqual(seen.removed, ["web", "web"])
    })
  )

  it.effect("a deployment of another service is a slip", () =>
    Effect.gen(function* () {
      const failure = yield* failureOf("wait_for_deployment", { name: "web", deployment: "api#3" })
      assert.strictEqual(failure.code, "invalid_argument")
      assert.include(failure.cause, "'deployment'")
      const result = yield* within(
        call("wait_for_deployment", { name: "web", deployment: "web#1" })
      )
      assert.strictEqual(result.finished, true)
    })
  )

  it.effect("deployments are read on by cursor, also when the answer was cut", () =>
    Effect.gen(function* () {
      const numbers: Array<number> = []
      let cursor: string | null = null
      do {
        const page: Schema.Json = Schema.decodeUnknownSync(Schema.Json)(
          yield* within(call("list_deployments", { name: "many", limit: 100, cursor }))
        )
        const { deployments, next_cursor } = decodePage(page)
        numbers.push(...deployments.map(({ number }) => number))
        cursor = next_cursor
      } while (cursor !== null)
      assert.deepStrictEqual(
        numbers,
        Array.from({ length: 200 }, (_, index) => 200 - index)
      )
      assert.strictEqual(
        (yield* failureOf("list_deployments", { name: "many", cursor: "x" })).code,
        "invalid_argument"
      )
    })
  )

  it.effect("long answers are cut at the old end and say so", () =>
    Effect.gen(function* () {
      const result = yield* within(call("get_logs", { name: "chatty", tail_lines: 1000 }))
      assert.isAtMost(Buffer.byteLength(JSON.stringify(result)), 60_000)
      assert.strictEqual(result.truncated, true)
      assert.include(String(result.narrow), "tail_lines")
      const lines = Array.isArray(result.lines) ? result.lines : []
      assert.isAbove(lines.length, 40)
      assert.strictEqual(lines.at(-1)?.at, "2026-01-01T00:00:00.999Z")
    })
  )

  it.effect("a bug comes out as internal, with a reference and without its text", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message, cause }) => {
      logged.push(`${String(message)} ${String(cause)}`)
    })
    return Effect.gen(function* () {
      const failure = yield* failureOf("get_service", { name: "broken" })
      assert.strictEqual(failure.code, "internal")
      assert.match(failure.cause, /ref_[0-9a-z]{8}/)
      assert.notInclude(JSON.stringify(failure), "secret inside")
      assert.include(logged.join(), "secret inside of a bug")
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("an answer that breaks its own schema is a bug too", () =>
    Effect.gen(function* () {
      const wrong = make({
        name: "wrong",
        title: "Wrong",
        toolset: "deploy",
        description: "",
        input: Schema.Struct({ n: field(Schema.Int, "A number, e.g. 1") }),
        output: Schema.Struct({ n: Schema.Int.pipe(Schema.check(Schema.isGreaterThan(10))) }),
        hints: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
        scope: null,
        run: ({ n }) => Effect.succeed({ n })
      })
      const { failure } = yield* Effect.flip(within(callTool(wrong, { n: 1 })))
      assert.strictEqual(failure.code, "internal")
    })
  )

  it.effect("every tool answers with what its schema promises", () =>
    Effect.gen(function* () {
      for (const tool of allTools.filter(
        ({ name }) => !["create_key", "revoke_key"].includes(name)
      )) {
        const names = Object.keys(tool.inputSchema.properties)
        const args = {
          ...(names.includes("repo") ? { repo: "web" } : {}),
          ...(names.includes("name") ? { name: "web" } : {}),
          ...(names.includes("tarball") ? { files: { "index.html": "hello" } } : {}),
          ...(names.includes("confirm") ? { confirm: "web" } : {})
        }
        const result = yield* within(callTool(tool, args))
        assert.includeMembers(
          Object.keys(tool.outputSchema.properties),
          Object.keys(result),
          tool.name
        )
      }
    })
  )
})

const decodePage = Schema.decodeUnknownSync(
  Schema.Struct({
    deployments: Schema.Array(Schema.Struct({ number: Schema.Int })),
    next_cursor: Schema.NullOr(Schema.String)
  })
)

describe("a plan", () => {
  it.effect("is answered instead of the change, by every tool that writes", () =>
    Effect.gen(function* () {
      const seen = Double.nothingSeen()
      const answer = yield* within(call("delete_service", { name: "web", plan: true }), { seen })
      assert.deepStrictEqual(answer.plan, ["moves 'web' to the trash"])
      assert.deepStrictEqual(seen.removed, [])
      yield* within(call("delete_service", { name: "web", plan: false }), { seen })
      assert.deepStrictEqual(seen.removed, ["web"])
      const failure = yield* failureOf("delete_service", { name: "web", plan: "yes" })
      assert.include(failure.cause, "'plan'")
      for (const tool of allTools.filter(
        ({ hints, toolset }) => toolset === "deploy" && !hints.readOnly
      )) {
        if (tool.name !== "get_git_token")
          assert.property(tool.inputSchema.properties, "plan", tool.name)
      }
    })
  )
})

describe("deploy_files", () => {
  it.effect("wants paths that stay inside, and files or a tarball but not both", () =>
    Effect.gen(function* () {
      const refused = Effect.fnUntraced(function* (more: Record<string, unknown>) {
        const { cause, code } = yield* failureOf("deploy_files", { name: "web", ...more })
        assert.strictEqual(code, "invalid_argument")
        return cause
      })
      for (const path of [
        "/etc/x",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        "",
        ".git/config",
        "a/.GIT/x",
        "a\nb",
        'a"b'
      ]) {
        assert.include(yield* refused({ files: { [path]: "x" } }), "path number 1", path)
      }
      assert.include(yield* refused({}), "Either 'files' or 'tarball'")
      assert.include(yield* refused({ files: { a: "1" }, tarball: "YQ==" }), "not both")
      assert.include(yield* refused({ tarball: "%%%" }), "not base64")
      const names = { "app/[id]/page (1).tsx": "1", "ü.txt": "2", ".gitignore": "3", "...": "4" }
      const answer = yield* within(call("deploy_files", { name: "web", files: names }))
      assert.strictEqual(answer.created, true)
    })
  )
})
