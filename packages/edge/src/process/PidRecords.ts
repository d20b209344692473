/**
 * Remembers processes that no sandbox takes along when the edge dies. A pid alone is no name: its
 * start time must agree too. What such a process started is known by its session, or by a variable
 * that the edge gave it.
 */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import type { Machine } from "./Machine.ts"
import { allProcesses, type ProcessStatus, processStatus, signalProcess } from "./ProcessTree.ts"

type Place = Pick<Machine, "files" | "homeId">

export const marker = (homeId: string): Record<string, string> => ({ DEPLOY_MCP_PROCESS: homeId })

export const recordProcess = async (place: Place, pid: number): Promise<void> => {
  const status = await processStatus(pid)
  if (!status) return
  await mkdir(directory(place), { recursive: true })
  await writeFile(join(directory(place), String(pid)), `${await bootId()} ${status.startTime}`)
}

export const forgetProcess = (place: Place, pid: number): Promise<void> =>
  rm(join(directory(place), String(pid)), { force: true })

/** Kills the session of a recorded process that is known to be this one. */
export const killRecorded = async (place: Place, pid: number): Promise<void> => {
  const record = await readFile(join(directory(place), String(pid)), "utf8").catch(() => null)
  if (record === null) return
  const [boot, startTime] = record.split(" ")
  if (boot !== (await bootId())) return
  await killAll(async (status) => {
    if (status.pid === pid) return status.startTime === startTime
    return status.session === pid && (await isMarked(place, status.pid))
  })
}

/** For a new edge: everything recorded or marked by an earlier one of this home. */
export const killAllRecorded = async (place: Place): Promise<void> => {
  const names = await readdir(directory(place)).catch(() => [])
  for (const name of names) {
    await killRecorded(place, Number(name))
    await forgetProcess(place, Number(name))
  }
  await killAll((status) => isMarked(place, status.pid))
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

const isMarked = async (place: Place, pid: number): Promise<boolean> => {
  if (pid === process.pid) return false
  const text = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "")
  return text.split("\0").includes(`DEPLOY_MCP_PROCESS=${place.homeId}`)
}

let boot: Promise<string> | null = null
const bootId = (): Promise<string> => {
  boot ??= readFile("/proc/sys/kernel/random/boot_id", "utf8").then((text) => text.trim())
  return boot
}

const directory = (place: Place): string => join(place.files, "pids")
