/** Services without a port: a worker and a program on a schedule, through crashes of both processes. */
import { randomBytes } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { processesWith } from "./Remains.ts"

/** In the environment of every process of the two services, and nowhere else. */
const mark = `mark-${randomBytes(8).toString("hex")}`

const queue = (version: number) => ({
  "package.json": `{ "name": "queue", "scripts": { "start": "node main.js" } }`,
  "main.js": `console.log("version ${version} waits")
process.on("SIGTERM", () => { console.log("version ${version} ends"); process.exit(0) })
setInterval(() => {}, 1000)
`
})
const report = {
  "package.json": `{ "name": "report", "scripts": { "start": "node main.js" } }`,
  "main.js": `console.log("the report of " + process.env.DAY)\n`
}

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

/** A repository and a service of this name, with these settings. */
const create = async (name: string, more: Record<string, unknown>) => {
  const env_vars = { MARK: mark, DAY: "today" }
  const url = await platform.api.repository(name)
  await platform.api.createService({ repo: name, name, env_vars, ...more })
  const tree = await platform.workTree()
  return async (files: Record<string, string>) => {
    await tree.commit(files)
    const pushed = await tree.push(url)
    assert.strictEqual(pushed.code, 0, pushed.output)
    return pushed.output
  }
}
const programs = (file = "main.js") =>
  processesWith(mark)
    .filter(({ command }) => command.includes(`node ${file}`))
    .map(({ pid }) => pid)
const logHas = (name: string, line: RegExp) =>
  eventually(`${name} says ${line}`, async () =>
    line.test((await platform.api.runtimeLog(name)).join("\n"))
  )

/** Whether the edge has written this into its logs, as they lie in the home. */
const edgeWrote = (text: string): boolean => {
  const logs = join(platform.home, "logs", "runtime")
  return readdirSync(logs, { recursive: true, withFileTypes: true }).some(
    (entry) => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes(text)
  )
}

describe("a worker", () => {
  let push: Awaited<ReturnType<typeof create>>
  it("runs without a URL, and its log is where an agent is told to look", async () => {
    push = await create("queue", { type: "worker" })
    const output = await push(queue(1))
    assert.notInclude(output, "null")
    const ended = await platform.api.ended("queue", 1)
    assert.deepStrictEqual([ended.status, ended.url], ["live", null])
    const shown = await platform.api.service("queue")
    assert.deepStrictEqual([shown.type, shown.mode, shown.url], ["worker", "persistent", null])
    await logHas("queue", /version 1 waits/u)
    assert.strictEqual((await platform.get("queue")).status, 404)
  })

  it("is replaced, comes back after kill -9 of the edge, and lives through that of control", async () => {
    await push(queue(2))
    assert.strictEqual((await platform.api.ended("queue", 2)).status, "live")
    await logHas("queue", /version 1 ends/u)
    await logHas("queue", /version 2 waits/u)
    await eventually("one of them runs", () => programs().length === 1)
    const [before] = programs()
    await platform.kill9("control")
    assert.deepStrictEqual(programs(), [before])
    await platform.start()
    assert.deepStrictEqual(programs(), [before])
    await platform.kill9("edge")
    await eventually("another one runs", () => {
      const now = programs()
      return now.length === 1 && now[0] !== before
    })
  })

  it("becomes a service with a URL and a worker again", async () => {
    const answers = `require("node:http").createServer((_, r) => r.end("here")).listen(process.env.PORT)`
    await platform.api.call("update_service", { name: "queue", reset: ["type"] })
    await push({ ...queue(3), "main.js": answers })
    await eventually("it answers", async () => (await platform.get("queue")).body === "here")
    await platform.api.remove("queue")
    await eventually("nothing of it runs", () => programs().length === 0)
  })
})

describe("a service on a schedule", () => {
  it("is live without a process, and says when it is due", async () => {
    await (await create("report", { schedule: "* * * * *", time_limit: 30 }))(report)
    assert.strictEqual((await platform.api.ended("report", 1)).status, "live")
    const shown = await platform.api.service("report")
    assert.deepStrictEqual([shown.mode, shown.url], ["scheduled", null])
    assert.strictEqual(shown.schedule?.cron, "* * * * *")
    assert.isAbove(Date.parse(shown.schedule?.next_run ?? ""), Date.now() - 60_000)
  })

  it("runs when it is due, also while control is down", { timeout: 150_000 }, async () => {
    await platform.kill9("control")
    await eventually(
      "the edge has run it by itself",
      () => edgeWrote("the report of today"),
      90_000
    )
    await platform.start()
    await logHas("report", /the report of today/u)
    await logHas("report", /run 1 ended with 0 after \d+\.\d s/u)
    const { schedule } = await platform.api.service("report")
    assert.deepStrictEqual(
      [schedule?.last_run?.outcome, schedule?.last_run?.exit_code],
      ["succeeded", 0]
    )
  })

  it("is refused what is no schedule, with an example", async () => {
    const failure = await platform.api.refused("update_service", {
      name: "report",
      schedule: "every day"
    })
    assert.strictEqual(failure.code, "invalid_argument")
    assert.match(failure.cause, /schedule/u)
  })
})
