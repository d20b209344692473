/** Keys as people make them with the command line, and what such a key can do. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { runCli } from "./CommandLine.ts"
import { type Platform, startPlatform } from "./Platform.ts"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

const Key = Schema.Struct({
  name: Schema.String,
  scopes: Schema.Array(Schema.String),
  project: Schema.NullOr(Schema.String),
  expires_at: Schema.NullOr(Schema.String)
})
const Made = Schema.fromJsonString(Schema.Struct({ secret: Schema.String, key: Key }))
const Listed = Schema.fromJsonString(
  Schema.Struct({ services: Schema.Array(Schema.Struct({ name: Schema.String })) })
)
const Refused = Schema.fromJsonString(
  Schema.Struct({ error: Schema.Struct({ code: Schema.String, cause: Schema.String }) })
)

/** `deploy-mcp <words> --json` with this key, or the owner's. */
const type = (words: string, key = platform.key()) =>
  runCli(platform, [...words.split(" "), "--json"], platform.folder, { DEPLOY_MCP_KEY: key })

const make = async (words: string, key?: string) => {
  const { code, stdout, stderr } = await type(`keys create ${words}`, key)
  assert.strictEqual(code, 0, stdout + stderr)
  return Schema.decodeUnknownSync(Made)(stdout)
}

const refusal = async (words: string, key: string) => {
  const { code, stdout } = await type(words, key)
  assert.strictEqual(code, 1, stdout)
  return Schema.decodeUnknownSync(Refused)(stdout).error
}

const day = 86_400_000

describe("a key that the command line makes", () => {
  it("does what its verbs, its project and its days allow, makes only weaker ones, and ends", async () => {
    await platform.api.call("ensure_project", { name: "shop" })
    await platform.api.createService({ name: "till", repo: "till", project: "shop" })
    await platform.api.createService({ name: "blog", repo: "blog" })

    const ci = await make(
      "ci --scopes services:read,keys:manage --project shop --expires-in-days 7"
    )
    assert.deepStrictEqual(
      [ci.key.scopes, ci.key.project],
      [["services:read", "keys:manage"], "shop"]
    )
    const left = Date.parse(ci.key.expires_at ?? "") - Date.now()
    assert.isTrue(left > 6 * day && left <= 7 * day)

    const { stdout } = await type("services", ci.secret)
    const { services } = Schema.decodeUnknownSync(Listed)(stdout)
    assert.deepStrictEqual(
      services.map(({ name }) => name),
      ["till"]
    )
    assert.strictEqual(
      (await refusal("services --project default", ci.secret)).code,
      "unknown_project"
    )
    assert.strictEqual((await refusal("logs blog", ci.secret)).code, "not_found")

    const child = await make("child --expires-in-days 90", ci.secret)
    assert.deepStrictEqual({ ...child.key, name: "ci" }, ci.key)
    const more = await refusal("keys create more --scopes services:delete", ci.secret)
    assert.deepStrictEqual(
      [more.code, more.cause],
      ["forbidden", "A key can only mint weaker keys; it lacks services:delete."]
    )
    const other = await refusal("keys create other --project default", ci.secret)
    assert.strictEqual(other.code, "unknown_project")

    assert.strictEqual((await type("keys revoke ci")).code, 0)
    const ended = await refusal("services", ci.secret)
    assert.strictEqual(ended.code, "unauthorized")
    assert.match(ended.cause, /^The key 'ci' was revoked at /u)
  })

  it("leaves no trace of its secret in the list, the home and the platform's output", async () => {
    const { secret } = await make("quiet")
    assert.strictEqual((await type("services", secret)).code, 0)
    const { stdout } = await type("keys list")
    assert.include(stdout, secret.slice(0, "dk_live_".length + 8))
    await platform.stop()
    const files = readdirSync(platform.home, { recursive: true, withFileTypes: true })
    const found = files
      .filter((file) => file.isFile())
      .filter((file) => readFileSync(join(file.parentPath, file.name)).includes(secret))
    assert.deepStrictEqual(
      found.map(({ name }) => name),
      []
    )
    assert.notInclude(stdout + platform.output(), secret)
  })
})
