/** The first request after a sleep: to a process that stands still, and to one that was stopped. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { type Control, idOf, is, openControl } from "@deploy-mcp/edge/testing/EdgeHarness"
import { ask } from "../e2e/Requests.ts"
import { program } from "../e2e/Samples.ts"
import { ended } from "./Floor.ts"
import { median, type Row, row } from "./Numbers.ts"
import { untilAnswers } from "./UntilAnswers.ts"
import { type Benchmark, interleave, type World } from "./World.ts"

const server = `require("node:http").createServer((_, response) => response.end("awake"))
  .listen(process.env.PORT)
`

export const wake: Benchmark = {
  id: "wake",
  run: async (world) => {
    const directory = join(world.folder, "sleeper")
    mkdirSync(directory)
    for (const [file, text] of Object.entries(program(server))) {
      writeFileSync(join(directory, file), text)
    }
    return [await frozen(world, directory), await stopped(world, directory)]
  }
}

const frozen = async (world: World, directory: string): Promise<Row> => {
  const sleeper = await startSleeper(world, directory, 60_000)
  const awake = await world.floor.start(directory, "server.js")
  const samples = await interleave(
    world.times(50),
    () => sleeper.wake("frozen"),
    () => timed(awake.port, "localhost")
  )
  await awake.stop()
  await sleeper.stop()
  return row({
    what: "wake of a frozen service",
    ...samples,
    floorIs: "the same request to node, which is awake",
    budget: { p95: 25 }
  })
}

const stopped = async (world: World, directory: string): Promise<Row> => {
  const sleeper = await startSleeper(world, directory, 0)
  const samples = await interleave(
    world.times(20),
    () => sleeper.wake("stopped"),
    async () => {
      const started = performance.now()
      const app = await world.floor.start(directory, "server.js")
      await app.stop()
      return app.readyAt - started
    }
  )
  await sleeper.stop()
  return row({
    what: "wake of a stopped service",
    ...samples,
    floorIs: "start node until its first 200",
    budget: { p50: Math.round(median(samples.floor)) + 100 }
  })
}

interface Sleeper {
  /** Milliseconds of the first request after it has fallen asleep. */
  readonly wake: (depth: "frozen" | "stopped") => Promise<number>
  readonly stop: () => Promise<void>
}

const startSleeper = async (
  world: World,
  directory: string,
  frozenMs: number
): Promise<Sleeper> => {
  const home = join(world.folder, `sleeper-home-${frozenMs}`)
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, "WakeEdge.ts"), home, String(frozenMs)],
    { stdio: ["ignore", "pipe", "inherit"] }
  )
  const port = Number(await firstLine(child))
  const control = await openControl(home, "deploy")
  await control.hello(1)
  await control.snapshot(stageOf(directory))
  const host = "sleeper.localhost"
  await untilAnswers({ port, host, accepts: () => true })
  return {
    wake: async (depth) => {
      await fallen(control, depth)
      return timed(port, host)
    },
    stop: async () => {
      control.close()
      child.kill("SIGTERM")
      await ended(child)
    }
  }
}

/** The newest that was said of it is that it sleeps so. */
const fallen = async (control: Control, depth: "frozen" | "stopped"): Promise<void> => {
  const isRelease = is("release")
  const latest = () => control.received.findLast(isRelease)
  while (latest()?.asleep !== depth) {
    await control.until("another depth", isRelease, control.received.length)
  }
}

const timed = async (port: number, host: string): Promise<number> => {
  const started = performance.now()
  const { status } = await ask({ port, host, path: "/" })
  if (status !== 200) throw new Error(`the first request was answered with ${status}`)
  return performance.now() - started
}

const stageOf = (directory: string) => ({
  stage: idOf<never>("stg", 1),
  generation: 1,
  name: "sleeper",
  tenant: 0,
  hostnames: ["sleeper"],
  route: idOf<never>("rel", 1),
  releases: [
    {
      release: idOf<never>("rel", 1),
      workload: {
        kind: "process",
        directory,
        start: "node server.js",
        path: [dirname(process.execPath)],
        variables: null,
        port: null,
        healthPath: null,
        memory: 256,
        cpu: 1,
        startTimeout: 20_000,
        idleAfter: 50
      } as const
    }
  ]
})

const firstLine = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    if (child.stdout === null) throw new Error("its output is not a pipe")
    createInterface({ input: child.stdout }).once("line", resolve)
    child.once("exit", (code) => reject(new Error(`the edge ended with ${code}`)))
  })
