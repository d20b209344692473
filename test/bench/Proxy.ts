/** Requests through the edge for a thousand hosts, and through Caddy to the same program. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { program } from "../e2e/Samples.ts"
import { type Burst, burst } from "./Burst.ts"
import { caddyVersion, startCaddy } from "./Caddy.ts"
import { startEdgeAlone } from "./EdgeAlone.ts"
import { cpuOf } from "./Machine.ts"
import { type Measured, row } from "./Numbers.ts"
import type { Benchmark, World } from "./World.ts"

const body = "hello"
const files = program(`require("node:http")
  .createServer((_, response) => response.end("${body}"))
  .listen(process.env.PORT)
`)
const hosts = Array.from({ length: 1000 }, (_, number) => `app-${number}.localhost`)
const connections = 32
const ms = 1000

export const proxy: Benchmark = {
  id: "proxy",
  run: async (world) => {
    const version = caddyVersion()
    if (version === null) console.error("bench: caddy is not installed here: nothing to compare")
    const bursts = await measure(world, version !== null)
    const compared = (measured: Omit<Measured, "ours" | "floor">, value: (one: Seen) => number) =>
      row({
        ...measured,
        budget: version === null ? { informational: true } : measured.budget,
        ours: bursts.ours.map(value),
        floor: bursts.floor.map(value)
      })
    const floorIs = version === null ? "none, Caddy is not installed here" : `Caddy ${version}`
    const what = `proxy, ${hosts.length} hosts`
    return [
      compared(
        {
          what: `${what}, ${connections} connections`,
          unit: "req/s",
          floorIs: `${floorIs}, a route for each host`,
          budget: { ratioAtLeast: 1 }
        },
        ({ perSecond }) => perSecond
      ),
      row({
        what: `${what}, processor time a request`,
        unit: "µs",
        ours: bursts.ours.map(({ cpu }) => cpu),
        floor: bursts.floor.map(({ cpu }) => cpu),
        floorIs,
        budget: { p50: 60 }
      }),
      compared(
        {
          what: `${what}, slowest in a hundred`,
          unit: "ms",
          floorIs,
          budget: { ratio: 1 }
        },
        ({ p99 }) => p99
      )
    ]
  }
}

interface Proxying {
  readonly port: number
  readonly pid: number
}

/** `cpu`: microseconds of the proxy for one request. */
type Seen = Burst & { readonly cpu: number }

const measure = async (world: World, withCaddy: boolean) => {
  const { folder, start } = world.floor
  const directory = join(folder, "proxied")
  mkdirSync(directory)
  for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text)
  const running = new AsyncDisposableStack()
  const keep = async <A extends { readonly stop: () => Promise<void> }>(one: Promise<A>) =>
    running.adopt(await one, ({ stop }) => stop())
  try {
    const { port } = await keep(start(directory, "server.js"))
    const edge = await keep(startEdgeAlone(folder, hosts, port))
    const caddy = withCaddy ? await keep(startCaddy(folder, hosts, port)) : null
    const taken = { ours: [] as Array<Seen>, floor: [] as Array<Seen> }
    // Connections to the program are made by the first requests.
    for (const one of [edge, caddy]) if (one !== null) await through(one)
    for (let turn = 0; turn < Math.min(world.times(9), 20); turn++) {
      taken.ours.push(await through(edge))
      if (caddy !== null) taken.floor.push(await through(caddy))
    }
    return taken
  } finally {
    await running.disposeAsync()
  }
}

const through = async ({ port, pid }: Proxying): Promise<Seen> => {
  const before = cpuOf(pid).own
  const seen = await burst({ port, hosts, connections, ms, body })
  return { ...seen, cpu: ((cpuOf(pid).own - before) * 1000) / seen.count }
}
