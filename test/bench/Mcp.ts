/** Tool calls: reads in both eras of the protocol, and a service that is durably accepted. */
import { Agent } from "node:http"
import { ask } from "../e2e/Requests.ts"
import { sample } from "../e2e/Samples.ts"
import { type Caller, type Door, inSession, stateless } from "./McpCalls.ts"
import { row } from "./Numbers.ts"
import { type Benchmark, cpuMeter, interleave, type World } from "./World.ts"

const reads = ["get_service", "list_services"] as const

/** The same bytes from a server that does nothing else; `/durable` writes and syncs first. */
const trivial = async (world: World, path: string, answer: string) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const { port } = world.floor
  const send = (method: string, body: string) =>
    ask({ port, host: "localhost", path, method, body, agent })
  await send("PUT", answer)
  return { ask: () => send("POST", "x".repeat(400)), close: () => agent.destroy() }
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const started = performance.now()
  await work()
  return performance.now() - started
}

const doorOf = async (world: World): Promise<Door> => {
  const platform = await world.platform()
  return { port: platform.ports().port, key: platform.key() }
}

/** Something to read: one live service with a log, and two that wait for their first push. */
const furnish = async (world: World) => {
  const platform = await world.platform()
  const names = ["reads-1", "reads-2", "reads-3"]
  const url = await platform.api.repository("reads")
  for (const name of names) await platform.api.createService({ repo: "reads", name })
  const tree = await platform.workTree()
  await tree.commit(sample("static"))
  await tree.push(url)
  for (const name of names) await platform.api.ended(name)
  return { name: "reads-1", close: () => Promise.all(names.map(platform.api.remove)) }
}

const measureReads = async (world: World, era: string, open: (door: Door) => Promise<Caller>) => {
  const meter = cpuMeter(await world.platform())
  const { name, close } = await furnish(world)
  const caller = await open(await doorOf(world))
  const read = (turn: number) => {
    const tool = reads[turn % reads.length] ?? "get_service"
    return caller.call(tool, tool === "get_service" ? { name } : {})
  }
  for (let turn = 0; turn < 20; turn++) await read(turn)
  const floor = await trivial(world, "/bytes", await read(0))
  const samples = await meter.during(() =>
    interleave(
      world.times(400),
      (turn) => timed(() => read(turn)),
      () => timed(floor.ask)
    )
  )
  floor.close()
  caller.close()
  await close()
  const { own, children } = meter.each()
  const count = samples.ours.length
  return row({
    what: `MCP reads, ${era}`,
    ...samples,
    floorIs: "an http server that answers the same bytes",
    budget: { p50: 8, p99: 40 },
    cpu: { own: own / count, children: children / count }
  })
}

export const mcp: ReadonlyArray<Benchmark> = [
  {
    id: "mcp",
    run: async (world) => [
      await measureReads(world, "2025 session", inSession),
      await measureReads(world, "2026 stateless", async (door) => stateless(door))
    ]
  },
  {
    id: "create",
    run: async (world) => {
      const platform = await world.platform()
      const meter = cpuMeter(platform)
      await platform.api.createRepo("created")
      const caller = stateless(await doorOf(world))
      const nameOf = (turn: number) => `created-${turn + 1}`
      const create = (turn: number) =>
        caller.call("create_service", { repo: "created", name: nameOf(turn) })
      const floor = await trivial(world, "/durable", await create(-1))
      const times = world.times(50)
      const samples = await interleave(
        times,
        (turn) => meter.during(() => timed(() => create(turn))),
        () => timed(floor.ask)
      )
      for (let turn = -1; turn < times; turn++) await platform.api.remove(nameOf(turn))
      caller.close()
      floor.close()
      return [
        row({
          what: "create_service accepted",
          ...samples,
          floorIs: "an http server that appends 400 bytes to a file and syncs it",
          budget: { p95: 50 },
          cpu: meter.each()
        })
      ]
    }
  }
]
