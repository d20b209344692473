/** What benchmarks measure with: one platform, and a floor beside it. */
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Platform, startPlatform } from "../e2e/Platform.ts"
import { type Floor, makeFloor } from "./Floor.ts"
import { cpuOf } from "./Machine.ts"
import { median, type Row } from "./Numbers.ts"
import type { Population } from "./Population.ts"

export interface World {
  readonly folder: string
  readonly floor: Floor
  /** Started when it is first asked for. */
  readonly platform: () => Promise<Platform>
  /** How often to measure; a benchmark names what it takes when nobody said. */
  readonly times: (usual: number) => number
  /** The services of a platform that has many. */
  readonly population: Population
  readonly close: () => Promise<void>
}

export interface Benchmark {
  readonly id: string
  readonly run: (world: World) => Promise<ReadonlyArray<Row>>
}

export const makeWorld = async (n: number | undefined, population: Population): Promise<World> => {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), "deploy-mcp-bench-"))
  chmodSync(folder, 0o711)
  const floor = await makeFloor(folder)
  let platform: Promise<Platform> | undefined
  return {
    folder,
    floor,
    platform: () => {
      platform ??= startPlatform()
      return platform
    },
    times: (usual) => n ?? usual,
    population,
    close: async () => {
      await (await platform)?.dispose()
      await floor.close()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** One of ours, one of the floor, and so on: what the machine does besides meets both. */
export const interleave = async (
  times: number,
  ours: (turn: number) => Promise<number>,
  floor: (turn: number) => Promise<number>
) => {
  const measured = { ours: [] as Array<number>, floor: [] as Array<number> }
  for (let turn = 0; turn < times; turn++) {
    measured.ours.push(await ours(turn))
    measured.floor.push(await floor(turn))
  }
  return measured
}

export type CpuMeter = ReturnType<typeof cpuMeter>
export type Parts = ReturnType<typeof partsOf>

/** Adds up what control and edge spend while `meter.during` runs. */
export const cpuMeter = (platform: Platform) => {
  const now = () => {
    const [control, edge] = [cpuOf(platform.pid("control")), cpuOf(platform.pid("edge"))]
    return { own: control.own + edge.own, children: control.children + edge.children }
  }
  const total = { own: 0, children: 0 }
  let count = 0
  return {
    reset: () => {
      total.own = total.children = count = 0
    },
    during: async <A>(work: () => Promise<A>): Promise<A> => {
      const before = now()
      const result = await work()
      const after = now()
      total.own += after.own - before.own
      total.children += after.children - before.children
      count++
      return result
    },
    each: () => ({ own: total.own / count, children: total.children / count })
  }
}

/** The median of each named part. */
export const partsOf = () => {
  const parts = new Map<string, Array<number>>()
  return {
    reset: () => parts.clear(),
    add: (name: string, ms: number) => parts.set(name, [...(parts.get(name) ?? []), ms]),
    medians: () => Object.fromEntries([...parts].map(([name, all]) => [name, median(all)]))
  }
}
