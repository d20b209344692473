import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { freePort } from "./FreePort.ts"
import { eventually, fetchText, leftovers, openTestEdge, type TestEdge } from "./TestEdge.ts"

const server = (answer: string, listen = "process.env.PORT") => `
const http = require("node:http")
http.createServer((question, answer) => answer.end(${answer})).listen(${listen})
`
const root = process.getuid?.() === 0

describe.each([
  { mode: "as the machine is", without: [] },
  { mode: "without bubblewrap", without: ["bwrap"] }
])("processes, $mode", ({ without }) => {
  let edge: TestEdge
  beforeAll(async () => {
    edge = await openTestEdge({ without, backoff: { first: 20, longest: 200, stable: 60_000 } })
  })
  afterAll(async () => {
    await edge.close()
    assert.deepStrictEqual(await leftovers(edge.homeId), [])
  })

  it("says how they are fenced", () => {
    const { isolation } = edge.processes
    if (without.length > 0) {
      assert.strictEqual(isolation.level, "plain")
      assert.match(isolation.notes.join("\n"), /not sandboxed: bubblewrap/)
    }
    if (!root) assert.match(isolation.notes.join("\n"), /does not run as root/)
    assert.isTrue(isolation.network || isolation.notes.some((note) => /host's network/.test(note)))
  })

  it("starts one, finds it healthy, and stops it by SIGTERM so that nothing is left", async () => {
    const run = await edge.run(
      `${server(`"hello " + process.env.WORD`)}
      process.on("SIGTERM", () => setTimeout(() => {
        console.log("good bye")
        process.exit(0)
      }, 50))
      console.log("started in", process.cwd())
      console.error("to stderr")`,
      { variables: { WORD: "wörld 'quoted' \n$HOME" } }
    )
    const endpoint = await run.healthy()
    assert.strictEqual(await fetchText(endpoint), "hello wörld 'quoted' \n$HOME")
    assert.include(run.lines.join("\n"), "stderr: to stderr")
    await run.process.stop(10_000)
    assert.include(run.lines, "stdout: good bye")
    assert.strictEqual(run.states.at(-1)?.state, "stopped")
    await run.process.stop(0)
  })

  it("lets one stand still, tells its memory, lets it go on, and stops it while it stands", async () => {
    const run = await edge.run(
      `${server(`"pid " + process.pid`)}
      process.on("SIGTERM", () => { console.log("heard it"); process.exit(0) })`
    )
    const endpoint = await run.healthy()
    const before = await fetchText(endpoint)
    const bytes = await run.process.freeze()
    assert.isAbove(bytes ?? 0, 5 * 1024 * 1024)
    assert.isBelow(bytes ?? 0, 256 * 1024 * 1024)
    let answered = false
    const answer = fetchText(endpoint).finally(() => {
      answered = true
    })
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.isFalse(answered)
    await run.process.thaw()
    assert.strictEqual(await answer, before)
    await run.process.freeze()
    await run.process.stop(10_000)
    assert.include(run.lines, "stdout: heard it")
    assert.isNull(await run.process.freeze())
    await run.process.thaw()
  })

  it("signals the service, not the shell that waits for it, and kills who does not listen", async () => {
    const run = await edge.run(
      `${server(`""`)}
      process.on("SIGTERM", () => console.log("heard it"))`,
      {
        workload: { start: "node server.js; echo the shell goes on" }
      }
    )
    await run.healthy()
    const started = Date.now()
    await run.process.stop(300)
    assert.isAtLeast(Date.now() - started, 250)
    assert.include(run.lines, "stdout: heard it")
    assert.notInclude(run.lines, "stdout: the shell goes on")
  })

  it("gives it PORT, HOST, HOME, TMPDIR and PATH, and no file but its standard three", async () => {
    const run = await edge.run(
      server(`JSON.stringify({
        env: process.env,
        files: require("node:fs").readdirSync("/proc/self/fd").length,
        extra: [3, 4, 5].filter((fd) => {
          try { return /pipe|socket/.test(require("node:fs").readlinkSync("/proc/" + process.ppid + "/fd/" + fd)) } catch { return false }
        }),
        wrote: [process.env.HOME, process.env.TMPDIR].map((directory) => {
          require("node:fs").writeFileSync(directory + "/file", "x")
          return true
        }),
        app: (() => { try { require("node:fs").writeFileSync("written", "x"); return "writable" } catch (error) { return error.code } })()
      })`),
      { variables: { PORT: "1", PATH: "/nowhere", NODE_ENV: "development", HOST: "::" } }
    )
    const told = JSON.parse(await fetchText(await run.healthy()))
    assert.notStrictEqual(told.env.PORT, "1")
    assert.match(told.env.PATH, /:\/usr\/local\/bin:\/usr\/bin:\/bin$/)
    assert.strictEqual(told.env.NODE_ENV, "development")
    assert.strictEqual(told.env.HOST, "::")
    assert.deepStrictEqual(told.extra, [])
    assert.isUndefined(told.env.DEPLOY_MCP_START)
    if (root || edge.processes.isolation.level === "bubblewrap") {
      assert.strictEqual(told.app, "EROFS")
    } else {
      assert.match(edge.processes.isolation.notes.join("\n"), /changing its own files/)
    }
    await run.process.stop(0)
  })

  it("finds the port that is really used", async () => {
    const port = await freePort()
    const run = await edge.run(server(`"elsewhere"`, `${port}`))
    const endpoint = await run.healthy()
    assert.strictEqual(endpoint.port, port)
    assert.strictEqual(await fetchText(endpoint), "elsewhere")

    const successor = await edge.run(server(`"successor"`, `${port}`))
    if (edge.processes.isolation.network) {
      assert.strictEqual(await fetchText(await successor.healthy()), "successor")
      assert.strictEqual(await fetchText(endpoint), "elsewhere")
    } else {
      const failure = await successor.failed()
      assert.strictEqual(failure.code, "fixed_port")
      assert.strictEqual(failure.port, port)
    }
    await Promise.all([run.process.stop(0), successor.process.stop(0)])
  })

  it("waits for PORT where another port opens first", async () => {
    const first = await freePort()
    const run = await edge.run(`${server(`"metrics"`, `${first}`)}
      setTimeout(() => http.createServer((q, a) => a.end("main")).listen(process.env.PORT), 60)`)
    const endpoint = await run.healthy()
    assert.notStrictEqual(endpoint.port, first)
    assert.strictEqual(await fetchText(endpoint), "main")
    await run.process.stop(0)
  })

  it("does not take a stranger on a pinned port for the service", async () => {
    const pinned = { workload: { port: await freePort(), startTimeout: 1500 } }
    const run = await edge.run(server(`"first"`), pinned)
    await run.healthy()
    const silent = await edge.run("setInterval(() => {}, 1000)", pinned)
    assert.strictEqual((await silent.failed()).code, "no_port")
    await run.process.stop(0)
  })

  it("says what is wrong with one that never becomes healthy", async () => {
    const [pinned, other] = [await freePort(), await freePort()]
    const cases = [
      ["exited", `console.log("line one"); process.exit(3)`, {}, /exit code 3/],
      ["missing_module", `require("left-pad")`, {}, /left-pad/],
      ["start_failed", "", { start: "no-such-command --now" }, /does not exist/],
      ["start_failed", "", { start: "node nothing.js" }, /nothing\.js does not exist/],
      ["no_port", "setInterval(() => {}, 1000)", { startTimeout: 700 }, /no port/],
      [
        "unhealthy",
        `require("node:http").createServer((q, a) => { a.statusCode = 503; a.end("not yet") }).listen(process.env.PORT)`,
        { startTimeout: 1500 },
        /answered 503/
      ],
      [
        "unhealthy",
        `require("node:http").createServer((q, a) => { a.statusCode = q.url === "/up" ? 404 : 200; a.end() }).listen(process.env.PORT)`,
        { startTimeout: 1500, healthPath: "/up" },
        /answered 404/
      ],
      ["wrong_port", server(`""`, `${other}`), { port: pinned, startTimeout: 1500 }, /listens on/]
    ] as const
    const runs = await Promise.all(
      cases.map(([, source, workload]) => edge.run(source, { workload }))
    )
    for (const [index, [code, , , cause]] of cases.entries()) {
      const failure = await runs[index]?.failed()
      assert.strictEqual(failure?.code, code)
      assert.match(failure?.cause ?? "", cause)
    }
    assert.deepStrictEqual((await runs[0]?.failed())?.evidence, ["line one"])
    assert.include((await runs[5]?.failed())?.evidence ?? [], "not yet")
    assert.strictEqual((await runs[7]?.failed())?.port, other)
    for (const run of runs) {
      assert.strictEqual(run.states.length, 1)
      assert.strictEqual(run.states[0]?.restarts, 0)
    }
  })

  it("tells a service that only listens to itself apart", async () => {
    const run = await edge.run(server(`"mine"`, `process.env.PORT, "127.0.0.1"`), {
      workload: { startTimeout: 1500 }
    })
    if (edge.processes.isolation.network) {
      assert.strictEqual((await run.failed()).code, "loopback_only")
    } else assert.strictEqual(await fetchText(await run.healthy()), "mine")
    await run.process.stop(0)
  })

  it("tells memory apart from other ends", async () => {
    const run = await edge.run(
      `const all = []
      setInterval(() => all.push(Buffer.alloc(32 * 1024 * 1024, 1)), 1)`,
      { workload: { memory: edge.processes.isolation.limits.memory ? 96 : 256 } }
    )
    const failure = await run.failed()
    if (edge.processes.isolation.limits.memory) assert.strictEqual(failure.code, "out_of_memory")
    else assert.include(["out_of_memory", "exited"], failure.code)
  })

  it("starts a live one again, with pauses, and calls a loop a loop", async () => {
    const run = await edge.run(
      server(`question.url === "/die" ? process.exit(1) : "pid " + process.pid`)
    )
    for (let end = 1; end <= 5; end++) {
      const { endpoint } = await run.until(
        (state) => state.state === "healthy" && state.restarts === end - 1
      )
      assert.isNotNull(endpoint)
      if (endpoint) await fetchText(endpoint, "/die").catch(() => {})
      const down = await run.until((state) => state.restarts === end && state.state === "starting")
      assert.strictEqual(down.endpoint, null)
      assert.strictEqual(down.failure?.code, end < 5 ? "exited" : "crash_loop")
    }
    const back = await run.until((state) => state.state === "healthy" && state.restarts === 5)
    assert.isNull(back.failure)
    await run.process.stop(0)
    assert.strictEqual(run.states.at(-1)?.state, "stopped")
  })

  it("can be stopped at any moment of a start", async () => {
    for (const delay of [0, 3, 10, 25, 60]) {
      const run = await edge.run(server(`""`))
      await new Promise((resolve) => setTimeout(resolve, delay))
      await run.process.stop(0)
      await eventually(async () => run.states.at(-1)?.state ?? null)
      assert.strictEqual(run.states.at(-1)?.state, "stopped")
    }
  })
})
