/**
 * Remembers processes that no sandbox takes along when the edge dies. A pid alone is no name: its
 * start time must agree too. What such a process started is known by a variable that it inherited.
 */
import { randomBytes } from "node:crypto"
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import type { Machine } from "./Machine.ts"
import {
  allProcesses,
  type ProcessStatus,
  processStatus,
  signalProcess,
  treeOf
} from "./ProcessTree.ts"

type Place = Pick<Machine, "files" | "homeId">

/** A name for one run, and its home's. */
export const newRun = (homeId: string): string => `${homeId}.${randomBytes(8).toString("hex")}`

export const marker = (run: string): Record<string, string> => ({ [variable]: run })

const variable = "DEPLOY_MCP_PROCESS"

export const recordProcess = async (place: Place, pid: number): Promise<void> => {
  const status = await processStatus(pid)
  if (!status) return
  await mkdir(directory(place), { recursive: true })
  await writeFile(join(directory(place), String(pid)), `${await bootId()} ${status.startTime}`)
}

export const forgetProcess = (place: Place, pid: number): Promise<void> =>
  rm(join(directory(place), String(pid)), { force: true })

/** Kills a recorded process and all that carries the marker of its run. */
export const killRun = async (place: Place, pid: number, run: string): Promise<void> => {
  const startTime = await recordedStart(place, pid)
  await killAll(async (status) =>
    status.pid === pid && status.startTime === startTime ? true : (await markOf(status.pid)) === run
  )
}

/** Its first process, what descends from it, and what carries the marker of the run. */
export const processesOfRun = async (pid: number, run: string): Promise<ReadonlyArray<number>> => {
  const tree = new Set(await treeOf(pid))
  const living = await allProcesses()
  const marked = await Promise.all(
    living.map(async (status) => ((await markOf(status.pid)) === run ? status.pid : null))
  )
  for (const one of marked) if (one !== null) tree.add(one)
  return [...tree]
}

/** For a new edge: everything recorded or marked by an earlier one of this home. */
export const killAllRecorded = async (place: Place): Promise<void> => {
  const recorded = new Map<number, string>()
  for (const name of await readdir(directory(place)).catch(() => [])) {
    const startTime = await recordedStart(place, Number(name))
    if (startTime !== null) recorded.set(Number(name), startTime)
    await forgetProcess(place, Number(name))
  }
  await killAll(async ({ pid, startTime }) =>
    recorded.get(pid) === startTime
      ? true
      : ((await markOf(pid))?.startsWith(`${place.homeId}.`) ?? false)
  )
}

/** Null: not recorded, or before the machine was started again. */
const recordedStart = async (place: Place, pid: number): Promise<string | null> => {
  const record = await readFile(join(directory(place), String(pid)), "utf8").catch(() => "")
  const [boot, startTime] = record.split(" ")
  return boot === (await bootId()) && startTime !== undefined ? startTime : null
}

/** Again until none is left: a process may be starting another one right now. */
const killAll = async (matches: (status: ProcessStatus) => Promise<boolean>): Promise<void> => {
  for (let round = 0; round < 100; round++) {
    const living = (await allProcesses()).filter((status) => status.state !== "Z")
    const judged = await Promise.all(
      living.map(async (status) => ((await matches(status)) ? status.pid : null))
    )
    const found = judged.filter((pid) => pid !== null)
    if (found.length === 0) return
    for (const pid of found) signalProcess(pid, "SIGKILL")
    await pause(5)
  }
}

const markOf = async (pid: number): Promise<string | null> => {
  if (pid === process.pid) return null
  const text = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "")
  const found = text.split("\0").find((entry) => entry.startsWith(`${variable}=`))
  return found?.slice(variable.length + 1) ?? null
}

let boot: Promise<string> | null = null
const bootId = (): Promise<string> => {
  boot ??= readFile("/proc/sys/kernel/random/boot_id", "utf8").then((text) => text.trim())
  return boot
}

const directory = (place: Place): string => join(place.files, "pids")
