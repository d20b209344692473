/** What an agent does from nothing to a live URL and a change of it, with each kind of MCP client. */
import { toolsFor } from "@deploy-mcp/mcp/Catalog"
import { keys } from "@deploy-mcp/mcp/testing/CommandsDouble"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Agent, agents, isRecord, type Progress } from "./Agents.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp } from "./Samples.ts"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

const toolNames = toolsFor(keys.dk_live_owner, ["deploy"]).map((tool) => tool.name)

const text = (value: unknown): string => {
  assert(typeof value === "string", `not a text: ${JSON.stringify(value)}`)
  return value
}
const record = (value: unknown): Record<string, unknown> => {
  assert(isRecord(value), `not an object: ${JSON.stringify(value)}`)
  return value
}
const codeOf = (answer: Record<string, unknown>) => record(answer.error).code

const variables = { GREETING: "good morning", API_KEY: "k-3f9a77c1" }

for (const [name, connect] of agents) {
  describe(`an agent with ${name}`, () => {
    let agent: Agent
    beforeAll(async () => {
      agent = await connect(platform.url(), platform.key())
    })
    afterAll(() => agent.close())
    const label = `${name}.localhost`

    it("finds every tool, each described and annotated", async () => {
      const tools = await agent.tools()
      assert.sameMembers(
        tools.map((tool) => tool.name),
        toolNames
      )
      for (const tool of tools) {
        assert.isAbove(tool.description?.length ?? 0, 20)
        for (const hint of ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]) {
          assert.isBoolean(tool.annotations?.[hint], `${tool.name}.${hint}`)
        }
      }
    })

    it("deploys a repository that is not pushed yet, pushes, waits and gets a URL", async () => {
      assert.isString((await agent.call("whoami")).owner)
      assert.strictEqual((await agent.call("create_repo", { name })).created, true)
      const made = await agent.call("create_service", { repo: name, name, env_vars: variables })
      assert.strictEqual(made.created, true)
      assert.strictEqual(record(made.service).status, "awaiting_push")
      const url = text(record(made.service).url)
      assert.strictEqual(url, `http://${label}:${platform.ports().appsPort}`)
      const token = await agent.call("get_git_token", { name })
      assert.match(text(token.token), /^mlg_/u)
      assert.isAbove(Date.parse(text(token.expires_at)), Date.now())

      const tree = await platform.workTree()
      const commit = await tree.commit(nodeApp("v1"))
      const pushed = await tree.push(text(token.push_url))
      assert.strictEqual(pushed.code, 0, pushed.output)
      const stages = [
        "reading the source",
        "building",
        "starting",
        "waiting until it answers",
        "moving traffic",
        "live"
      ]
      const places = stages.map((stage) =>
        pushed.lines.findIndex((line) => line.startsWith(`${name}#1: ${stage}`))
      )
      assert.notInclude(places, -1, pushed.output)
      assert.deepStrictEqual(
        places,
        places.toSorted((a, b) => a - b)
      )
      const end = pushed.lines.filter((line) => line !== "").slice(-2)
      assert.strictEqual(end[0]?.trim(), url)
      assert.strictEqual(end[1]?.trim(), text(record(made.service).try))

      const ended = await agent.call("wait_for_deployment", { name })
      assert.strictEqual(ended.status, "live")
      assert.strictEqual(ended.finished, true)
      assert.strictEqual(ended.commit, commit)
      assert.strictEqual((await platform.get(name)).body, "v1 good morning")
    })

    it("hears of the phases of a change, and the URL answers with the change", async () => {
      const tree = await platform.workTree()
      const commit = await tree.commit(nodeApp("v2", { build: 500, start: 300 }))
      const token = await agent.call("get_git_token", { name })
      const building = Promise.withResolvers<void>()
      const pushing = tree.push(text(token.push_url), "HEAD:main", (line) => {
        if (line === `${name}#2: building`) building.resolve()
      })
      await Promise.race([building.promise, pushing])
      const notices: Array<Progress> = []
      const ended = await agent.call(
        "wait_for_deployment",
        { name, deployment: `${name}#2` },
        (one) => notices.push(one)
      )
      assert.strictEqual(ended.status, "live")
      assert.strictEqual(ended.commit, commit)
      const heard = notices.map(({ message }) => message)
      assert.includeMembers(heard, [`${name}#2: running, build`, `${name}#2: running, health`])
      const steps = notices.map(({ progress }) => progress)
      assert.deepStrictEqual(
        steps,
        [...new Set(steps)].sort((a, b) => a - b)
      )
      const pushed = await pushing
      assert.strictEqual(pushed.code, 0, pushed.output)
      assert.include(pushed.lines, "  v2 is built")
      assert.strictEqual((await platform.get(name)).body, "v2 good morning")
    })

    it("sees variables masked, and their values only when it asks for them", async () => {
      const masked = await agent.call("get_service", { name })
      assert.notInclude(JSON.stringify(masked), variables.API_KEY)
      const env = masked.env
      assert(Array.isArray(env))
      assert.sameMembers(
        env.map((one) => record(one).name),
        Object.keys(variables)
      )
      const shown = await agent.call("get_service", { name, include_env: true })
      assert.include(JSON.stringify(shown.env), `"value":"${variables.API_KEY}"`)
      assert.isString(record(shown.limits).note)
    })

    it("creates the same again without harm, and not something else under the name", async () => {
      const again = await agent.call("create_service", { repo: name, name, env_vars: variables })
      assert.strictEqual(again.created, false)
      const other = await agent.call("create_service", { repo: name, name, memory: 512 })
      assert.strictEqual(codeOf(other), "name_taken")
      assert.strictEqual(record(record(other.error).current).name, name)
      const keyed = { repo: name, name: `${name}-k`, idempotency_key: `key-${name}` }
      assert.strictEqual((await agent.call("create_service", keyed)).created, true)
      assert.strictEqual((await agent.call("create_service", keyed)).created, false)
      const conflict = await agent.call("create_service", { ...keyed, name: `${name}-l` })
      assert.strictEqual(codeOf(conflict), "idempotency_conflict")
      const first = await agent.call("redeploy_service", { name, idempotency_key: `re-${name}` })
      const second = await agent.call("redeploy_service", { name, idempotency_key: `re-${name}` })
      assert.strictEqual(second.deployment, first.deployment)
      assert.strictEqual((await platform.api.ended(name)).status, "live")
    })

    it("is told what is wrong with its arguments", async () => {
      const cases: ReadonlyArray<[string, Record<string, unknown>, string, RegExp]> = [
        ["create_service", { repo: name, name: "W!" }, "invalid_argument", /name/u],
        ["create_service", { repo: name }, "invalid_argument", /name/u],
        ["create_service", { repo: name, name: "x", memry: 1 }, "unknown_argument", /memry/u],
        ["create_service", { repo: name, name: "x", port: 0 }, "invalid_argument", /port/u],
        [
          "create_service",
          { repo: name, name: "x", env_vars: { PORT: "1" } },
          "variable_reserved",
          /PORT/u
        ],
        ["create_service", { repo: name, name: "x", host: "nowhere" }, "unknown_host", /nowhere/u],
        [
          "create_service",
          { repo: name, name: "x", project: "nowhere" },
          "unknown_project",
          /nowhere/u
        ],
        ["get_service", { name: "no-such-service" }, "not_found", /no-such-service/u]
      ]
      for (const [tool, args, code, cause] of cases) {
        const error = record((await agent.call(tool, args)).error)
        assert.strictEqual(error.code, code, JSON.stringify({ args, error }))
        assert.match(text(error.cause), cause)
        assert.isAbove(text(error.next).length, 10)
      }
    })

    it("lists, reads logs and deletes", async () => {
      const listed = await agent.call("list_services", { project: "default" })
      assert.include(JSON.stringify(listed.services), `"${name}"`)
      const deployments = await agent.call("list_deployments", { name })
      assert(Array.isArray(deployments.deployments))
      assert.strictEqual(record(deployments.deployments[0]).status, "live")
      const logs = await agent.call("get_logs", { name })
      assert.include(JSON.stringify(logs.lines), "v2 listens")
      const found = async (search: Record<string, unknown>) => {
        const { lines } = await agent.call("get_logs", { name, ...search })
        assert(Array.isArray(lines))
        return lines.map(record)
      }
      const [first, ...others] = await found({ contains: "V1 LISTENS" })
      assert.deepStrictEqual([first?.text, others], ["v1 listens", []])
      const [second] = await found({ contains: "v2 listens", since: "1h", tail_lines: 1 })
      assert.strictEqual(second?.text, "v2 listens")
      const later = (await found({ since: second?.at })).map((line) => line.text)
      assert.include(later, "v2 listens")
      assert.notInclude(later, "v1 listens")
      const built = await found({ source: "build", deployment: 2, contains: "is built" })
      assert.deepStrictEqual(
        built.map((line) => line.text),
        ["v2 is built"]
      )
      for (const one of [name, `${name}-k`]) {
        assert.strictEqual((await agent.call("delete_service", { name: one })).removed, true)
        assert.strictEqual((await platform.get(one)).status, 404)
      }
      assert.strictEqual((await agent.call("delete_service", { name })).removed, false)
    })
  })
}

describe("the end", () => {
  it("a stop leaves nothing", () => platform.stop())
})
