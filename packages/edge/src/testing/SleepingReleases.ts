/** Releases that may sleep, for tests of the edge: how to make them, and how deep they are asleep. */
import { readFile } from "node:fs/promises"
import type { StageSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { makeProcesses } from "../process/MakeProcesses.ts"
import { allProcesses } from "../process/ProcessTree.ts"
import {
  askEdge,
  type Control,
  eventually,
  is,
  processRelease,
  startHarness
} from "./EdgeHarness.ts"

type Listed = StageSpec["releases"][number]

export const startWithSleepers = async (options: Parameters<typeof startHarness>[0] = {}) => {
  const harness = await startHarness({ makeProcesses, ...options })
  const { nodeKey } = await harness.control.hello(1)
  return {
    harness,
    ...harness,
    sleeper: (number: number, idleAfter = 150, variables: Record<string, string> = {}) =>
      withIdle(processRelease(nodeKey, number, variables), idleAfter),
    ask: (path: string, host = "shop.localhost") => askEdge(harness.edge.appsPort, path, { host })
  }
}

const withIdle = async (made: Promise<Listed>, idleAfter: number | null): Promise<Listed> => {
  const { release, workload } = await made
  return workload.kind === "process"
    ? { release, workload: { ...workload, idleAfter } }
    : { release, workload }
}

type Depth = "frozen" | "stopped" | undefined

const isAt = ({ release }: Listed, depth: Depth) =>
  is("release", (seen) => seen.release === release && seen.asleep === depth)

/** How often control has heard that the release is in this depth. */
export const times = (control: Control, listed: Listed, depth: Depth): number =>
  control.received.filter(isAt(listed, depth)).length

export const falls = (control: Control, listed: Listed, depth: Depth, before = 0) =>
  eventually(`${listed.release} ${depth ?? "awake"}`, () => times(control, listed, depth) > before)

/** Each process of the sample with this mark in its environment. */
export const pidsWith = async (mark: string): Promise<ReadonlyArray<number>> => {
  const found = await Promise.all(
    (await allProcesses()).map(async ({ name, pid }) => {
      if (!/node|MainThread/.test(name)) return null
      const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "")
      return environment.split("\0").includes(`MARK=${mark}`) ? pid : null
    })
  )
  return found.filter((pid) => pid !== null)
}

/** Its timer goes off each millisecond while it is awake. */
export const standsStill = async (pid: number): Promise<boolean> => {
  const wakes = async () =>
    /^voluntary_ctxt_switches:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]
  const before = await wakes()
  await new Promise((resolve) => setTimeout(resolve, 100))
  return before === (await wakes())
}
