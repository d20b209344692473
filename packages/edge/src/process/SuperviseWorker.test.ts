import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually, fetchText, leftovers, openTestEdge, type TestEdge } from "./TestEdge.ts"

const server = `require("node:http").createServer((q, a) => a.end("up")).listen(process.env.PORT)`
const root = process.getuid?.() === 0

describe.each([
  { mode: "as the machine is", without: [] },
  { mode: "without bubblewrap", without: ["bwrap"] }
])("a worker, $mode", ({ without }) => {
  let edge: TestEdge
  beforeAll(async () => {
    edge = await openTestEdge({ without, backoff: { first: 20, longest: 200, stable: 60_000 } })
  })
  afterAll(async () => {
    await edge.close()
    assert.deepStrictEqual(await leftovers(edge.homeId), [])
  })

  it("has the service's variables, folder and user, and no PORT", async () => {
    const { line, worker } = await edge.work(
      `console.log(JSON.stringify({
        env: process.env,
        folder: require("node:fs").readdirSync("."),
        uid: process.getuid(),
        write: (() => { try { require("node:fs").writeFileSync("x", ""); return "written" } catch (error) { return error.code } })()
      }))
      setInterval(() => {}, 1000)`,
      { variables: { WORD: "wörld", PORT: "3000" }, workload: { port: 3000 } }
    )
    const told = JSON.parse((await line(/^stdout: \{/)).slice("stdout: ".length))
    assert.strictEqual(told.env.WORD, "wörld")
    assert.notProperty(told.env, "PORT")
    assert.strictEqual(told.env.NODE_ENV, "production")
    assert.deepStrictEqual(told.folder, ["server.js"])
    const sandboxed = edge.processes.isolation.level === "bubblewrap"
    if (root) assert.strictEqual(told.uid, sandboxed ? 65_534 : 200_000)
    if (root || sandboxed) assert.strictEqual(told.write, "EROFS")
    await worker.stop(0)
  })

  it("hears SIGTERM, and is killed when it does not end in time", async () => {
    const polite = await edge.work(
      `process.on("SIGTERM", () => { console.log("good bye"); process.exit(0) })
      console.log("works")
      setInterval(() => {}, 1000)`
    )
    await polite.line(/works/)
    await polite.worker.stop(10_000)
    assert.sameMembers(
      [...polite.lines],
      ["platform: Started.", "stdout: works", "stdout: good bye", "platform: Stopped."]
    )

    const deaf = await edge.work(
      `process.on("SIGTERM", () => console.log("heard it"))
      console.log("works")
      setInterval(() => {}, 1000)`
    )
    await deaf.line(/works/)
    await deaf.worker.stop(1000)
    assert.include(deaf.lines, "stdout: heard it")
    await deaf.worker.stop(0)
  })

  it("is started again whenever it ends, and says so when that is a loop", async () => {
    const service = await edge.run(server)
    const endpoint = await service.healthy()
    const { line, lines, worker } = await edge.work(`console.log("a job"); process.exit(3)`)
    await line(
      /ended 6 times in a row\. The process ended with exit code 3\. Starting again in 200/
    )
    await line(/platform: The service goes on answering without it/)
    assert.match(lines.join("\n"), /exit code 3\. Starting again in 20 ms/)
    assert.match(lines.join("\n"), /exit code 3\. Starting again in 40 ms/)
    assert.isAtLeast(lines.filter((text) => text === "stdout: a job").length, 6)
    assert.strictEqual(await fetchText(endpoint), "up")
    assert.deepStrictEqual(
      service.states.map(({ state }) => state),
      ["healthy"]
    )
    await worker.stop(0)
    const ended = lines.length
    await service.process.stop(0)
    assert.strictEqual(lines.length, ended)
  })

  it("is started again also when it ends without a fault", async () => {
    const { line, worker } = await edge.work("process.exit(0)")
    await line(/exit code 0\. Starting again/)
    await worker.stop(0)
  })

  it("says what is missing, and tries again", async () => {
    const { line, worker } = await edge.work("", { workload: { start: "no-such-worker --now" } })
    await line(/platform: The command 'no-such-worker' does not exist\. Starting again/)
    await worker.stop(0)
  })

  it("has limits of its own: what it takes too much is not the service's", async () => {
    const limited = edge.processes.isolation.limits.memory
    const service = await edge.run(server, { workload: { memory: limited ? 96 : 256 } })
    const endpoint = await service.healthy()
    const { line, worker } = await edge.work(
      `const all = []
      setInterval(() => all.push(Buffer.alloc(32 * 1024 * 1024, 1)), 1)`,
      { workload: { memory: limited ? 96 : 256 } }
    )
    await line(limited ? /more than its 96 MiB of memory/ : /Starting again/)
    assert.strictEqual(await fetchText(endpoint), "up")
    assert.deepStrictEqual(
      service.states.map(({ state }) => state),
      ["healthy"]
    )
    await worker.stop(0)
    await service.process.stop(0)
  })

  it("can be stopped at any moment of a start", async () => {
    for (const delay of [0, 3, 10, 25, 60]) {
      const { lines, worker } = await edge.work("setInterval(() => {}, 1000)")
      await new Promise((resolve) => setTimeout(resolve, delay))
      await worker.stop(0)
      assert.notMatch(lines.join("\n"), /Starting again/)
    }
  })

  it("ends with the edge", async () => {
    const other = await openTestEdge({ without })
    const { line } = await other.work(`console.log(process.pid); setInterval(() => {}, 1000)`)
    await line(/^stdout: \d+$/)
    await other.close()
    await eventually(async () => ((await leftovers(other.homeId)).length === 0 ? true : null))
    assert.throws(() => other.processes.startWorker(neverStarted), /the edge is ending/)
  })
})

const neverStarted = {
  tenant: 0,
  variables: {},
  workload: {
    kind: "process",
    directory: "/",
    start: "true",
    path: [],
    variables: null,
    port: null,
    healthPath: null,
    memory: 64,
    cpu: 1,
    startTimeout: 1000
  },
  onLine: () => {}
} as const
