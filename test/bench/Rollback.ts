/**
 * Back and forth between two releases that are kept: nothing is read, built or installed again, and of a
 * service on demand nothing is started either.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { program } from "../e2e/Samples.ts"
import { type Budget, type Row, row } from "./Numbers.ts"
import { untilAnswers } from "./UntilAnswers.ts"
import { type Benchmark, cpuMeter, interleave, partsOf, type World } from "./World.ts"

const versions = ["one", "two"] as const
const filesOf = (version: string) =>
  program(`require("node:http")
  .createServer((_, response) => response.end("${version}"))
  .listen(process.env.PORT)
`)

export const rollback: Benchmark = {
  id: "rollback",
  run: async (world) => [
    await backAndForth(world, {
      name: "rolled-back",
      settings: {},
      what: "rollback to a kept release",
      budget: { p95: 400 }
    }),
    await backAndForth(world, {
      name: "thawed",
      settings: { mode: "on_demand", idle_after: 3600 },
      what: "rollback to a frozen release",
      budget: { p50: 30 }
    })
  ]
}

interface Rolled {
  readonly name: string
  readonly settings: object
  readonly what: string
  readonly budget: Budget
}

const backAndForth = async (
  world: World,
  { budget, name, settings, what }: Rolled
): Promise<Row> => {
  const platform = await world.platform()
  const tree = await platform.workTree()
  const url = await platform.api.repository(name)
  await platform.api.createService({ repo: name, name, ...settings })
  const where = { port: platform.ports().appsPort, host: `${name}.localhost` }
  for (const version of versions) {
    await tree.commit(filesOf(version))
    await tree.push(url)
    await untilAnswers({ ...where, accepts: (body) => body === version })
    await platform.api.ended(name)
  }

  const directory = join(world.floor.folder, name)
  for (const version of versions) {
    mkdirSync(join(directory, version), { recursive: true })
    for (const [file, text] of Object.entries(filesOf(version))) {
      writeFileSync(join(directory, version, file), text)
    }
  }

  const meter = cpuMeter(platform)
  const parts = partsOf()
  const once = async (turn: number) => {
    const version = versions[turn % 2]
    const started = performance.now()
    await platform.api.rollback(name)
    parts.add("accepted", performance.now() - started)
    const { at } = await untilAnswers({ ...where, accepts: (body) => body === version })
    for (const { phase, ms } of (await platform.api.ended(name)).phases) parts.add(phase, ms)
    return at - started
  }
  const samples = await interleave(
    world.times(20),
    (turn) => meter.during(() => once(turn)),
    async (turn) => {
      const version = versions[turn % 2] ?? "one"
      const started = performance.now()
      const app = await world.floor.start(join(directory, version), "server.js")
      await app.stop()
      return app.readyAt - started
    }
  )
  await platform.api.remove(name)
  return row({
    what,
    ...samples,
    floorIs: "start node in the older folder until its first 200",
    budget,
    cpu: meter.each(),
    parts: parts.medians()
  })
}
