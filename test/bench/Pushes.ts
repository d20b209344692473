/** From the start of `git push` until the new content answers at the service's own address. */
import { sample } from "../e2e/Samples.ts"
import type { Files } from "../e2e/WorkTree.ts"
import { type Budget, row } from "./Numbers.ts"
import { pushToFloor } from "./PushToFloor.ts"
import { pushToPlatform } from "./PushToPlatform.ts"
import { type Benchmark, cpuMeter, interleave, partsOf, type World } from "./World.ts"

export interface Story {
  readonly what: string
  readonly kind: "static" | "node" | "express"
  /** Each time a new service, or another push to the same one. */
  readonly isFirst: boolean
  readonly times: number
  readonly budget: Budget
  readonly floorIs: string
}

/** Somewhere to push to, again and again; answers with milliseconds. */
export interface Target {
  readonly push: (version: Version) => Promise<number>
  readonly close: () => Promise<void>
}

/** Its content shows it, so that an answer tells which commit it comes from. */
export interface Version {
  readonly files: Files
  readonly isShown: (body: string) => boolean
}

const measure = async (world: World, story: Story) => {
  const platform = await world.platform()
  const meter = cpuMeter(platform)
  const parts = partsOf()
  const ours = await pushToPlatform(platform, story, meter, parts)
  const floor = await pushToFloor(world.floor, story)
  const next = () => versionOf(story, ++versions)
  // What is measured later must not pay for cold caches.
  await ours.push(next())
  await floor.push(next())
  meter.reset()
  parts.reset()
  const samples = await interleave(
    story.times,
    () => ours.push(next()),
    () => floor.push(next())
  )
  await ours.close()
  await floor.close()
  const { what, budget, floorIs } = story
  return row({ what, budget, floorIs, ...samples, cpu: meter.each(), parts: parts.medians() })
}

let versions = 0

const versionOf = ({ kind, isFirst }: Story, count: number): Version => {
  const version = `v${count}`
  const mark = kind === "static" ? `id="version">${version}<` : `version ${version}\n`
  // A project of another name has dependencies of its own.
  const rename = (text: string) => text.replaceAll("sample-express", `sample-express-${count}`)
  const files = Object.entries(sample(kind, version)).map(
    ([name, text]) => [name, isFirst && kind === "express" ? rename(text) : text] as const
  )
  return { files: Object.fromEntries(files), isShown: (body) => body.includes(mark) }
}

const pushedAndServed = "push over git http-backend, check out, serve the folder"
const pushedAndStarted = "push over git http-backend, check out, start node"

export const pushes: ReadonlyArray<Benchmark> = [
  {
    id: "static",
    run: async (world) => {
      const story = { kind: "static", budget: { p50: 350 }, floorIs: pushedAndServed } as const
      return [
        await measure(world, {
          ...story,
          what: "static, first push → 200",
          isFirst: true,
          times: world.times(15)
        }),
        await measure(world, {
          ...story,
          what: "static, change → 200",
          isFirst: false,
          times: world.times(15)
        })
      ]
    }
  },
  {
    id: "node",
    run: async (world) => [
      await measure(world, {
        what: "Node, first push → 200",
        kind: "node",
        isFirst: true,
        times: world.times(15),
        budget: { p50: 600 },
        floorIs: pushedAndStarted
      })
    ]
  },
  {
    id: "express",
    run: async (world) => [
      await measure(world, {
        what: "express, first push → 200",
        kind: "express",
        isFirst: true,
        times: world.times(8),
        budget: { ratio: 1.4 },
        floorIs: "push, check out, npm ci from a warm cache, start node"
      })
    ]
  },
  {
    id: "change",
    run: async (world) => [
      await measure(world, {
        what: "express, change → 200",
        kind: "express",
        isFirst: false,
        times: world.times(15),
        budget: { p50: 700 },
        floorIs: "push, check out, hard links to node_modules, start node"
      })
    ]
  }
]
