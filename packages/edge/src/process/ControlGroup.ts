/**
 * Limits on memory, cpu, number of processes and use of disks, by whichever version of control groups this
 * machine has. A group is one directory (version 2) or one for each controller (version 1).
 */
import { access, mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import {
  type Controller,
  type DiskLimits,
  type GroupWrite,
  handedDown,
  limitWrites,
  type MountedGroups,
  memoryKills,
  mountedGroups,
  unifiedGroups
} from "@deploy-mcp/domain/node/ControlGroupFiles"

export type ControlGroups = MountedGroups

export interface ControlGroup {
  readonly groups: ControlGroups
  readonly name: string
}

/** Tasks that one service may have at once: enough for any runtime, too few for a fork bomb. */
export const maximumPids = 512

/** What one service may read from each disk in a second, and write to it: the rest is the others'. */
const perDisk = { bytesPerSecond: 128 * 1024 * 1024, operationsPerSecond: 4000 }

/** What is mounted and really writable. Null: there is nothing to limit with. */
export const findControlGroups = async (
  mounts = "/proc/self/mounts"
): Promise<ControlGroups | null> => {
  const mounted = mountedGroups(await readFile(mounts, "utf8"))
  return mounted && usableGroups(mounted)
}

/** Those of a version 2 hierarchy. */
export const usableUnified = (root: string) => usableGroups(unifiedGroups(root))

const usableGroups = async (mounted: MountedGroups): Promise<ControlGroups | null> => {
  if (mounted.version === 1) return onlyWritable(mounted)
  const roots = new Map(mounted.roots)
  for (const root of new Set(mounted.roots.values())) {
    for (const controller of [...handedDown, "io"] as const) {
      const enabled = await writeFile(join(root, "cgroup.subtree_control"), `+${controller}`).then(
        () => true,
        () => false
      )
      if (enabled) roots.set(controller, root)
    }
  }
  return onlyWritable({ version: 2, roots })
}

const onlyWritable = async (groups: ControlGroups): Promise<ControlGroups | null> => {
  const roots = new Map<Controller, string>()
  for (const [controller, root] of groups.roots) {
    // Of all of this user's: what one left that was killed, the next one takes away.
    const probe = join(root, `deploy-mcp-probe-of-${process.getuid?.()}`)
    const made = await mkdir(probe).then(
      () => true,
      ({ code }: NodeJS.ErrnoException) => code === "EEXIST"
    )
    if (made && (await removeDirectories([probe])).length === 0) roots.set(controller, root)
  }
  return roots.size === 0 ? null : { version: groups.version, roots }
}

export const makeControlGroup = async (
  groups: ControlGroups,
  name: string
): Promise<ControlGroup> => {
  await Promise.all(directories({ groups, name }).map((path) => mkdir(path, { recursive: true })))
  return { groups, name }
}

/** Names of the groups that begin like this, for reaping. */
export const controlGroupNames = async (
  groups: ControlGroups,
  prefix: string
): Promise<ReadonlyArray<string>> => {
  const names = new Set<string>()
  for (const root of new Set(groups.roots.values())) {
    for (const name of await readdir(root)) if (name.startsWith(prefix)) names.add(name)
  }
  return [...names]
}

/** Files that a process joins by writing its pid. The first write of a start can take 20 ms. */
export const joinFiles = (group: ControlGroup): ReadonlyArray<string> =>
  directories(group).map((path) => join(path, "cgroup.procs"))

export const limitControlGroup = async (
  group: ControlGroup,
  limits: { readonly memory: number; readonly cpu: number }
): Promise<void> => {
  const io = group.groups.roots.has("io") ? { io: await diskLimits() } : {}
  const writes = limitWrites(group.groups.version, { ...limits, ...io, pids: maximumPids })
  const write = ({ controller, file, value, optional }: GroupWrite) =>
    writeFile(fileOf(group, controller, file), value).catch((error: unknown) => {
      if (!optional) throw error
    })
  await Promise.all(
    [...group.groups.roots.keys()].map(async (of) => {
      for (const each of writes) if (each.controller === of) await write(each)
    })
  )
}

/** Disks of metal or of a hypervisor: what is stacked on them, such as a volume, counts for them. */
const diskLimits = async (): Promise<DiskLimits> => {
  const names = await readdir("/sys/block").catch(() => [])
  const numbers = await Promise.all(
    names.map(async (name) => {
      const real = await access(`/sys/block/${name}/device`).then(
        () => true,
        () => false
      )
      return real ? (await readFile(`/sys/block/${name}/dev`, "utf8")).trim() : null
    })
  )
  return { ...perDisk, disks: numbers.filter((number) => number !== null) }
}

/** Times that the kernel killed something of the group for its memory. */
export const outOfMemoryKills = async (group: ControlGroup): Promise<number> => {
  if (!group.groups.roots.has("memory")) return 0
  const { file, read } = memoryKills(group.groups.version)
  return read(await readFile(fileOf(group, "memory", file), "utf8").catch(() => ""))
}

/** Kills all that is in it and removes it. A frozen process outlives SIGKILL until it is thawed. */
export const removeControlGroup = async (group: ControlGroup): Promise<void> => {
  const deadline = performance.now() + 5000
  // Most often there is nobody in it any more.
  let left = await removeDirectories(directories(group))
  for (
    let wait = 1;
    left.length > 0 && performance.now() < deadline;
    wait = Math.min(wait * 2, 50)
  ) {
    await thaw(group)
    for (const pid of await processesOf(group)) kill(pid)
    await pause(wait)
    left = await removeDirectories(left)
  }
}

/** Those that are still there. */
const removeDirectories = async (paths: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const still = await Promise.all(
    paths.map((path) => rmdir(path).then(() => null, stillThere(path)))
  )
  return still.filter((path) => path !== null)
}

export const processesOf = async (group: ControlGroup): Promise<ReadonlyArray<number>> => {
  const pids = new Set<number>()
  for (const file of joinFiles(group)) {
    const text = await readFile(file, "utf8").catch(() => "")
    for (const line of text.split("\n")) if (line !== "" && line !== "0") pids.add(Number(line))
  }
  return [...pids]
}

export const canFreeze = ({ groups }: ControlGroup): boolean => groups.roots.has("freezer")

/** All that is in it stands still, also what it starts in this moment. */
export const freeze = (group: ControlGroup): Promise<void> => setFrozen(group, true)

/** Whatever was sent to a frozen process is heard from now on. */
export const thaw = (group: ControlGroup): Promise<void> =>
  canFreeze(group) ? setFrozen(group, false).catch(() => {}) : Promise.resolve()

const setFrozen = (group: ControlGroup, frozen: boolean): Promise<void> =>
  group.groups.version === 1
    ? writeFile(fileOf(group, "freezer", "freezer.state"), frozen ? "FROZEN" : "THAWED")
    : writeFile(fileOf(group, "freezer", "cgroup.freeze"), frozen ? "1" : "0")

/** Bytes that count against its limit. Null: nobody counts. */
export const memoryOfGroup = async (group: ControlGroup): Promise<number | null> => {
  if (!group.groups.roots.has("memory")) return null
  const file = group.groups.version === 1 ? "memory.usage_in_bytes" : "memory.current"
  const text = await readFile(fileOf(group, "memory", file), "utf8").catch(() => null)
  return text === null ? null : Number(text)
}

const kill = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // Gone since the list was read.
  }
}

const stillThere =
  (path: string) =>
  (error: NodeJS.ErrnoException): string | null =>
    error.code === "ENOENT" ? null : path

const directories = (group: ControlGroup): Array<string> =>
  [...new Set(group.groups.roots.values())].map((root) => join(root, group.name))

const fileOf = (group: ControlGroup, controller: Controller, file: string): string =>
  join(group.groups.roots.get(controller) ?? "", group.name, file)
