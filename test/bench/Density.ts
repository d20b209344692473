/**
 * A thousand small services on one platform, most of them asleep: what a call costs beside an empty
 * platform, what each service holds in memory, and how long a start and the way back after a kill take.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Platform, startPlatform } from "../e2e/Platform.ts"
import { sample } from "../e2e/Samples.ts"
import type { App } from "./Floor.ts"
import { rssOf } from "./Machine.ts"
import { type Caller, stateless } from "./McpCalls.ts"
import { type Row, row } from "./Numbers.ts"
import {
  allAnswer,
  allAsleep,
  files,
  inTurn,
  memoryOfServices,
  namesOf,
  populate,
  pssOf
} from "./Population.ts"
import { type Benchmark, interleave, type World } from "./World.ts"

export const density: Benchmark = {
  id: "density",
  run: async (world) => {
    const empty = await startPlatform()
    try {
      const dense = await startPlatform()
      try {
        return await measure(world, empty, dense)
      } finally {
        await dense.dispose()
      }
    } finally {
      await empty.dispose()
    }
  }
}

const measure = async (world: World, empty: Platform, dense: Platform) => {
  const { population } = world
  const names = namesOf(population)
  const directory = floorFolder(world)
  const many = `${population.running} running, ${population.sleeping} asleep`
  const atFirst = ownMemory(empty)
  await furnish(empty)
  const started = performance.now()
  await populate(dense, population)
  console.error(`bench: made ${many} in ${Math.round((performance.now() - started) / 1000)} s`)
  await allAsleep(dense, names.sleeping)
  await allAnswer(dense, [...names.running, ...names.sites])
  return [
    await reads(world, many, empty, dense),
    ...(await memory(world, directory, many, atFirst, dense)),
    ...(await back(world, directory, many, empty, dense))
  ]
}

/** A platform that nobody uses much: something to read, and as many of it as a page of the other shows. */
const furnish = async ({ api, workTree }: Platform) => {
  const url = await api.repository("few")
  for (let number = 1; number <= pageLength; number++) {
    await api.createService({ repo: "few", name: `few-${number}` })
  }
  const tree = await workTree()
  await tree.commit(sample("static"))
  await tree.push(url)
  for (let number = 1; number <= pageLength; number++) await api.ended(`few-${number}`)
}

/** The same on both, so that answers have about the same length. */
const pageLength = 3

const callsOf = (name: string) =>
  [
    ["get_service", { name }],
    ["list_services", { limit: pageLength }],
    ["list_deployments", { name }],
    ["whoami", {}]
  ] as const

const reads = async (world: World, many: string, empty: Platform, dense: Platform) => {
  const open = (platform: Platform, name: string) => {
    const caller = stateless({ port: platform.ports().port, key: platform.key() })
    const calls = callsOf(name)
    return { caller, read: (turn: number) => timed(caller, calls[turn % calls.length] ?? calls[0]) }
  }
  const ours = open(dense, namesOf(world.population).running[0] ?? "")
  const floor = open(empty, "few-1")
  const times = world.times(1000)
  for (let turn = 0; turn < Math.min(times, 40); turn++) {
    await ours.read(turn)
    await floor.read(turn)
  }
  const samples = await interleave(times, ours.read, floor.read)
  ours.caller.close()
  floor.caller.close()
  const parts = Object.fromEntries(
    callsOf("").map(([tool], place, { length }) => [
      tool,
      average(samples.ours.filter((_, turn) => turn % length === place)) /
        average(samples.floor.filter((_, turn) => turn % length === place))
    ])
  )
  return row({
    what: `MCP reads, ${many}`,
    ...samples,
    floorIs: "the same reads on a platform with three services; parts are ratios of averages",
    budget: { ratioOfP95: 1.2 },
    parts
  })
}

const timed = async (caller: Caller, [tool, args]: ReturnType<typeof callsOf>[number]) => {
  const started = performance.now()
  await caller.call(tool, args)
  return performance.now() - started
}

const average = (all: ReadonlyArray<number>) => all.reduce((sum, one) => sum + one, 0) / all.length

const ownMemory = (platform: Platform) => ({
  control: rssOf(platform.pid("control")),
  edge: rssOf(platform.pid("edge"))
})

const memory = async (
  world: World,
  directory: string,
  many: string,
  atFirst: ReturnType<typeof ownMemory>,
  dense: Platform
): Promise<ReadonlyArray<Row>> => {
  const own = ownMemory(dense)
  const held = memoryOfServices(dense.pid("edge"))
  const names = namesOf(world.population)
  const of = (all: ReadonlyArray<string>) => all.flatMap((name) => held.get(name) ?? [])
  const frozen = of(names.sleeping)
  const app = await world.floor.start(directory, "server.js")
  const floor = [pssOf(app.pid)]
  await app.stop()
  const of1 = world.population.running + world.population.sleeping
  const floorIs = "the same program in node, by its share of shared pages"
  return [
    row({
      what: `memory of control and edge, ${many}`,
      unit: "MiB",
      ours: [own.control + own.edge],
      floor: [atFirst.control + atFirst.edge],
      floorIs: "the same two processes on an empty platform",
      budget: { informational: true },
      parts: {
        ...own,
        "a service": (own.control + own.edge - atFirst.control - atFirst.edge) / of1
      }
    }),
    row({
      what: "memory of a running service",
      unit: "MiB",
      ours: of(names.running),
      floor,
      floorIs,
      budget: { ratio: 1.5 }
    }),
    ...(frozen.length === 0
      ? []
      : [
          row({
            what: `memory of a frozen service (${frozen.length} of ${names.sleeping.length})`,
            unit: "MiB",
            ours: frozen,
            floor,
            floorIs: `${floorIs}; those that were stopped hold none`,
            budget: { ratio: 1.5 }
          })
        ])
  ]
}

const floorFolder = (world: World): string => {
  const directory = join(world.floor.folder, "dense")
  mkdirSync(directory)
  for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text)
  return directory
}

/** Both processes are killed; ready is what the platform says, back is what visitors see. */
const back = async (
  world: World,
  directory: string,
  many: string,
  empty: Platform,
  dense: Platform
) => {
  const { running, sites } = namesOf(world.population)
  const ready = { ours: [] as Array<number>, floor: [] as Array<number> }
  const serving = { ours: [] as Array<number>, floor: [] as Array<number> }
  for (let turn = 0; turn < Math.min(3, world.times(3)); turn++) {
    await dense.kill9("both")
    const started = performance.now()
    const answered = dense.start().then(() => performance.now())
    serving.ours.push((await allAnswer(dense, [...running, ...sites])) - started)
    ready.ours.push((await answered) - started)

    await empty.kill9("both")
    const startedEmpty = performance.now()
    await empty.start()
    ready.floor.push(performance.now() - startedEmpty)
    serving.floor.push(await startAll(world, directory, running))
  }
  return [
    row({
      what: `ready after start, ${many}`,
      ...ready,
      floorIs: "the same on a platform with three services",
      budget: { p50: 1500 }
    }),
    row({
      what: `all ${running.length + sites.length} serve again after kill -9`,
      ...serving,
      floorIs: `start ${running.length} programs in node, four at a time`,
      budget: { ratio: 2 }
    })
  ]
}

const startAll = async (
  world: World,
  directory: string,
  names: ReadonlyArray<string>
): Promise<number> => {
  const apps: Array<App> = []
  const started = performance.now()
  await inTurn(names, async () => apps.push(await world.floor.start(directory, "server.js")))
  const took = performance.now() - started
  for (const app of apps) await app.stop()
  return took
}
