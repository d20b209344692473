/** What operators and owners are told of how busy a platform is, while something really happens. */
import { Schema } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { runCli } from "./CommandLine.ts"
import { eventually } from "./Eventually.ts"
import { load } from "./Load.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { program } from "./Samples.ts"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
  await platform.api.call("deploy_files", { name, files })
  assert.strictEqual((await platform.api.ended(name, 1)).status, "live")
})
afterAll(() => platform.dispose())

const name = "measured"
const files = program(`require("node:http").createServer((request, response) => {
  if (request.url === "/exit") process.exit(1)
  if (request.url === "/wrong") response.statusCode = 500
  response.end("here")
}).listen(process.env.PORT)
`)

/** Every sample by its name and labels, as they stand in the text. */
const scrape = async (): Promise<ReadonlyMap<string, number>> => {
  const response = await fetch(`${platform.url()}/metrics`)
  assert.include(response.headers.get("content-type"), "text/plain")
  const samples = (await response.text()).split("\n").filter((line) => /^[^#]/u.test(line))
  return new Map(
    samples.map((line) => {
      const space = line.lastIndexOf(" ")
      return [line.slice(0, space), Number(line.slice(space + 1))]
    })
  )
}

/** A sample of the service, e.g. `of("http_requests_total", 'code="2xx"')`. */
const keyOf = async (metric: string, more = "") => {
  const { owner } = await platform.api.whoami()
  const labels = `owner="${owner}",project="default",service="${name}"`
  return `deploy_mcp_${metric}{${labels}${more === "" ? "" : `,${more}`}}`
}

describe("/metrics", () => {
  it("moves with what visitors and processes do", async () => {
    const good = await keyOf("http_requests_total", 'code="2xx"')
    const wrong = await keyOf("http_requests_total", 'code="5xx"')
    const within = await keyOf("http_request_duration_seconds_bucket", 'le="+Inf"')
    const before = await scrape()
    for (let at = 0; at < 5; at += 1) await platform.get(name)
    await platform.get(name, { path: "/wrong" })
    await platform.get("nobody")
    const after = await scrape()
    const risen = (key: string) => (after.get(key) ?? Number.NaN) - (before.get(key) ?? 0)
    assert.deepStrictEqual([risen(good), risen(wrong), risen(within)], [5, 1, 6])
    assert.strictEqual(risen("deploy_mcp_edge_unmatched_requests_total"), 1)
    assert.strictEqual(after.get("deploy_mcp_edge_up"), 1)
    const [free = 0, size = 0, watermark] = ["free", "size", "min_free"].map((what) =>
      after.get(`deploy_mcp_home_${what}_bytes`)
    )
    assert.isTrue(free > 0 && size > free)
    assert.strictEqual(watermark, 512 * 1024 ** 2)
    assert.strictEqual(after.get("deploy_mcp_artifact_quota_bytes"), 50 * 1024 ** 3)
    assert.strictEqual(after.get("deploy_mcp_repository_quota_bytes"), 10 * 1024 ** 3)
    const { owner } = await platform.api.whoami()
    assert.isAbove(after.get(`deploy_mcp_repository_bytes{owner="${owner}"}`) ?? 0, 0)
    assert.isAbove(after.get("deploy_mcp_database_bytes") ?? 0, 0)
    const artifacts = [...after].find(([name]) =>
      name.startsWith("deploy_mcp_artifact_bytes{owner=")
    )
    assert.isAbove(artifacts?.[1] ?? 0, 0)
    assert.strictEqual(after.get(await keyOf("log_lines_dropped_total")), 0)
    assert.isAbove(after.get(await keyOf("process_memory_bytes")) ?? 0, 1_000_000)
    assert.isAbove(after.get(await keyOf("process_cpu_seconds_total")) ?? 0, 0)
    assert.strictEqual(after.get('deploy_mcp_deployments_total{outcome="live"}'), 1)
    assert.strictEqual(after.get('deploy_mcp_deployments_open{status="queued"}'), 0)
    assert.strictEqual(after.get('deploy_mcp_deployment_phase_seconds_count{phase="build"}'), 1)
  })

  it("counts a restart", async () => {
    await platform.get(name, { path: "/exit" })
    const [restarts, starts] = await Promise.all(
      ["process_restarts_total", "process_starts_total"].map((metric) => keyOf(metric))
    )
    const count = (seen: ReadonlyMap<string, number>, key = "") => seen.get(key) ?? 0
    await eventually("it is counted", async () => count(await scrape(), restarts) > 0)
    await eventually("it is back", async () => (await platform.get(name)).status === 200)
    const after = await scrape()
    assert.strictEqual(count(after, starts), count(after, restarts) + 1)
  })

  it("says that the edge is away, and no stale number", async () => {
    await platform.kill9("edge")
    const [up, unmatched] = await eventually("the edge is missed or back", async () => {
      const seen = await scrape()
      return [seen.get("deploy_mcp_edge_up"), seen.get("deploy_mcp_edge_unmatched_requests_total")]
    })
    assert.include([0, 1], up)
    assert.isTrue(up === 1 ? unmatched === 0 : unmatched === undefined)
    await eventually("it is back", async () =>
      platform.get(name).then(
        ({ status }) => status === 200,
        () => false
      )
    )
  })
})

const Rows = Schema.fromJsonString(
  Schema.Struct({
    services: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        project: Schema.String,
        status: Schema.String,
        requests_per_second: Schema.Finite,
        errors_per_second: Schema.Finite,
        p95_ms: Schema.NullOr(Schema.Finite),
        memory: Schema.NullOr(Schema.Finite),
        restarts: Schema.Int
      })
    )
  })
)

describe("deploy-mcp top", () => {
  const top = (args: string, env = {}) =>
    runCli(platform, ["top", ...args.split(" ")], platform.folder, env)

  it("shows how busy a service is", async () => {
    const visitors = load({
      port: platform.ports().appsPort,
      host: `${name}.localhost`,
      clients: 4
    })
    const [asJson, asText] = await Promise.all([
      top("--json --interval 1"),
      top("--once --interval 1")
    ])
    await visitors.stop()
    assert.strictEqual(asJson.code, 0, asJson.stderr)
    const [row] = Schema.decodeUnknownSync(Rows)(asJson.stdout).services
    assert(row !== undefined)
    assert.deepStrictEqual(
      [row.name, row.project, row.status, row.errors_per_second],
      [name, "default", "live", 0]
    )
    assert.isAbove(row.requests_per_second, 1)
    assert.isAbove(row.p95_ms ?? 0, 0)
    assert.isAbove(row.memory ?? 0, 1_000_000)
    assert.match(asText.stdout, /^NAME +STATUS +REQ\/S .*\nmeasured +live +\d+\.\d /u)
  })

  it("is shown only what the key may read, of its own owner and project", async () => {
    const keys = { scopes: ["keys:manage"], name: "blind" }
    const blind = Schema.decodeUnknownSync(Schema.Struct({ secret: Schema.String }))(
      await platform.api.call("create_key", keys)
    )
    const refused = await top("--json", { DEPLOY_MCP_KEY: blind.secret })
    assert.strictEqual(refused.code, 1)
    assert.include(refused.stdout, "services:read")
    await platform.api.call("ensure_project", { name: "other" })
    const elsewhere = Schema.decodeUnknownSync(Schema.Struct({ secret: Schema.String }))(
      await platform.api.call("create_key", {
        scopes: ["services:read"],
        name: "elsewhere",
        project: "other"
      })
    )
    const seen = await top("--json --interval 1", { DEPLOY_MCP_KEY: elsewhere.secret })
    assert.deepStrictEqual(Schema.decodeUnknownSync(Rows)(seen.stdout).services, [])
  })
})
