/** Programs without a port, behind the real fence of this machine. */
import { chmod, mkdtemp, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { ProcessWorkload } from "@deploy-mcp/domain/node/NodeProtocol"
import { assert, beforeAll, describe, it, onTestFinished } from "vitest"
import { makeProcesses } from "./MakeProcesses.ts"
import type { Processes, ProcessState } from "./Processes.ts"

let home: string
let processes: Processes

beforeAll(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), "portless-")))
  processes = await makeProcesses(
    { home, homeId: "portless" },
    { first: 10, longest: 50, stable: 60_000 }
  )
  return async () => {
    await processes.close()
    await rm(home, { recursive: true, force: true })
  }
})

const workloadOf = async (program: string): Promise<ProcessWorkload> => {
  const directory = await realpath(await mkdtemp(join(tmpdir(), "portless-app-")))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  // The service's own user reads it.
  await chmod(directory, 0o755)
  await writeFile(join(directory, "app.mjs"), program)
  return {
    kind: "process",
    directory,
    start: "exec node app.mjs",
    path: [dirname(process.execPath)],
    variables: null,
    port: null,
    healthPath: null,
    memory: 128,
    cpu: 1,
    // Shorter than a worker has to stay up otherwise.
    startTimeout: 500,
    listens: false
  }
}

describe("a worker", () => {
  const start = async (program: string) => {
    const states: Array<ProcessState> = []
    const lines: Array<string> = []
    const waiting = new Set<() => void>()
    const running = processes.start({
      stage: "stg",
      release: "rel",
      tenant: 0,
      variables: {},
      workload: await workloadOf(program),
      onLine: (_, text) => lines.push(text),
      onState: (state) => {
        states.push(state)
        for (const check of waiting) check()
      }
    })
    onTestFinished(() => running.stop(0))
    const until = (fits: (state: ProcessState) => boolean) =>
      new Promise<ProcessState>((resolve) => {
        const check = () => {
          const found = states.find(fits)
          if (found !== undefined) resolve(found)
        }
        waiting.add(check)
        check()
      })
    return { lines, states, until }
  }

  it("is healthy once it has stayed up, without a port, and is started again when it ends", async () => {
    const { lines, states, until } = await start(
      `console.log("PORT is", process.env.PORT)\nsetTimeout(() => process.exit(4), 900)`
    )
    const { endpoint } = await until(({ state }) => state === "healthy")
    assert.isNull(endpoint)
    const down = await until(({ failure }) => failure !== null)
    assert.deepStrictEqual([down.failure?.code, down.restarts], ["exited", 1])
    assert.include(lines, "PORT is undefined")
    assert.isFalse(states.some(({ state }) => state === "failed"))
  })

  it("that ends at once has failed, and says how", async () => {
    const { states, until } = await start(`console.error("no queue"); process.exit(0)`)
    const { failure } = await until(({ state }) => state === "failed")
    assert.strictEqual(failure?.cause, "The process ended with exit code 0.")
    assert.deepStrictEqual(failure?.evidence, ["no queue"])
    assert.isFalse(states.some(({ state }) => state === "healthy"))
  })

  it("that ends again and again is told to be in a loop", async () => {
    const { until } = await start(`setTimeout(() => process.exit(1), 700)`)
    await until(({ state }) => state === "healthy")
    const { failure } = await until(({ failure }) => failure?.code === "crash_loop")
    assert.match(failure?.cause ?? "", /^The process ended 5 times in a row/u)
  })
})

describe("a run", () => {
  const run = async (program: string, limitMs = 20_000) => {
    const lines: Array<string> = []
    const workload = await workloadOf(program)
    const onLine = (_: string, text: string) => lines.push(text)
    const job = processes.startRun({ tenant: 0, variables: { A: "b" }, workload, limitMs, onLine })
    return { job, lines }
  }

  it("says how it ended, after all that it printed", async () => {
    const { job, lines } = await run(`console.log(process.env.A, process.env.PORT)`)
    assert.deepStrictEqual(await job.ended, { outcome: "succeeded", code: 0, cause: "" })
    assert.deepStrictEqual(lines, ["b undefined"])
    const { job: failing } = await run(`import "./gone.mjs"`)
    const { code, cause, outcome } = await failing.ended
    assert.deepStrictEqual([outcome, code], ["failed", 1])
    assert.isNotEmpty(cause)
  })

  it("is stopped when its time is over, and when it is told to", async () => {
    const forEver = `process.on("SIGTERM", () => { console.log("asked"); process.exit(0) })
      console.log("on"); setInterval(() => {}, 1000)`
    const { job, lines } = await run(forEver, 1_500)
    assert.deepStrictEqual(await job.ended, { outcome: "timed_out", code: null, cause: "" })
    assert.deepStrictEqual(lines, ["on", "asked"])
    const { job: other } = await run(forEver)
    await other.launched
    await other.stop(2_000)
    assert.strictEqual((await other.ended).outcome, "interrupted")
  })
})
