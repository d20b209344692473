/** Many small services on one platform: made through its API, and what their processes hold. */
import { readdirSync, readFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import type { Platform } from "../e2e/Platform.ts"
import { ask } from "../e2e/Requests.ts"
import { program } from "../e2e/Samples.ts"

/** How many are awake for good, and how many may sleep. */
export interface Population {
  readonly running: number
  readonly sleeping: number
}

/** Each program answers with its name. */
export const files = program(`require("node:http")
  .createServer((_, response) => response.end(process.env.BENCH_NAME ?? "hello"))
  .listen(process.env.PORT)
`)

const site = "<h1>A few files, as one service in ten is</h1>"
const idleAfter = 10
const atOnce = 4
const patienceMs = 600_000

/** One in ten of those that run is a static site, and so needs no process. */
export const namesOf = ({ running, sleeping }: Population) => {
  const named = (word: string, count: number) =>
    Array.from({ length: count }, (_, number) => `${word}-${number + 1}`)
  const sites = Math.floor(running / 10)
  return {
    running: named("running", running - sites),
    sites: named("site", sites),
    sleeping: named("sleeping", sleeping)
  }
}

/** All of them are live when it resolves; those that may sleep do so a while later. */
export const populate = async (platform: Platform, population: Population): Promise<void> => {
  const { running, sites, sleeping } = namesOf(population)
  const repository = async (name: string, content: Readonly<Record<string, string>>) => {
    const tree = await platform.workTree()
    await tree.commit(content)
    await tree.push(await platform.api.repository(name))
  }
  await repository("dense", files)
  await repository("sites", { "index.html": site })
  const make = async (name: string, settings: object, repo = "dense") => {
    await platform.api.createService({
      repo,
      name,
      env_vars: { BENCH_NAME: name },
      ...settings
    })
    const { status, failure } = await platform.api.ended(name)
    if (status !== "live") throw new Error(`${name} ended ${status}: ${JSON.stringify(failure)}`)
  }
  // Those that sleep first: they fall asleep while the others are made.
  await inTurn(sleeping, (name) => make(name, { mode: "on_demand", idle_after: idleAfter }))
  await inTurn(running, (name) => make(name, {}))
  await inTurn(sites, (name) => make(name, {}, "sites"))
}

/** Does `work` for each, a few at a time. */
export const inTurn = async <A>(all: ReadonlyArray<A>, work: (one: A) => Promise<unknown>) => {
  const rest = all.values()
  const worker = async () => {
    for (const one of rest) await work(one)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** Resolves when every one of them answers for itself; `performance.now()` of the last answer. */
export const allAnswer = async (
  platform: Platform,
  names: ReadonlyArray<string>
): Promise<number> => {
  const { appsPort } = platform.ports()
  const deadline = performance.now() + patienceMs
  const untilAnswers = async (name: string) => {
    for (;;) {
      const answer = await ask({ port: appsPort, host: `${name}.localhost`, path: "/" }).catch(
        () => null
      )
      const isItself = answer?.body === name || answer?.body === site
      if (answer?.status === 200 && isItself) return
      if (performance.now() > deadline) throw new Error(`${name} does not answer`)
      await pause(5)
    }
  }
  await inTurn(names, untilAnswers)
  return performance.now()
}

/** Resolves when all that may sleep do so. */
export const allAsleep = async (platform: Platform, names: ReadonlyArray<string>) => {
  const deadline = performance.now() + patienceMs
  await inTurn(names, async (name) => {
    while (!(await platform.api.service(name)).next.includes("asleep")) {
      if (performance.now() > deadline) throw new Error(`${name} does not sleep`)
      await pause(200)
    }
  })
}

/** MiB of each service that has processes, by name: shared pages count by their share. */
export const memoryOfServices = (edge: number): ReadonlyMap<string, number> => {
  const children = new Map<number, Array<number>>()
  for (const entry of readdirSync("/proc")) {
    const parent = parentOf(Number(entry))
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), Number(entry)])
  }
  const below = (pid: number): ReadonlyArray<number> => [
    pid,
    ...(children.get(pid) ?? []).flatMap(below)
  ]
  const found = new Map<string, number>()
  for (const slot of children.get(edge) ?? []) {
    const pids = below(slot)
    const [name] = pids.flatMap(nameOf)
    if (name !== undefined)
      found.set(
        name,
        pids.reduce((sum, pid) => sum + pssOf(pid), 0)
      )
  }
  return found
}

const read = (path: string): string => {
  try {
    return readFileSync(path, "latin1")
  } catch {
    return ""
  }
}

const parentOf = (pid: number): number | null => {
  if (!Number.isInteger(pid)) return null
  const stat = read(`/proc/${pid}/stat`)
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) || null
}

const nameOf = (pid: number): ReadonlyArray<string> =>
  read(`/proc/${pid}/environ`)
    .split("\0")
    .flatMap((one) => (one.startsWith("BENCH_NAME=") ? [one.slice("BENCH_NAME=".length)] : []))

export const pssOf = (pid: number): number =>
  Number(/^Pss:\s+(\d+) kB$/mu.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) / 1024
