/**
 * Limits on memory, cpu and number of processes, by whichever version of control groups this
 * machine has. A group is one directory (version 2) or one for each controller (version 1).
 */
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"

const controllers = ["memory", "cpu", "pids", "freezer"] as const
type Controller = (typeof controllers)[number]

export interface ControlGroups {
  readonly version: 1 | 2
  /** Directories that groups are made in, by what they control; version 2: the same for all. */
  readonly roots: ReadonlyMap<Controller, string>
}

export interface ControlGroup {
  readonly groups: ControlGroups
  readonly name: string
}

/** Tasks that one service may have at once: enough for any runtime, too few for a fork bomb. */
export const maximumPids = 512

/** What is mounted and really writable. Null: there is nothing to limit with. */
export const findControlGroups = async (
  mounts = "/proc/self/mounts"
): Promise<ControlGroups | null> => {
  const lines = (await readFile(mounts, "utf8")).split("\n").map((line) => line.split(" "))
  const first = new Map<Controller, string>()
  for (const [, point = "", type, options = ""] of lines) {
    if (type !== "cgroup") continue
    for (const controller of controllers) {
      if (options.split(",").includes(controller)) first.set(controller, point)
    }
  }
  if (first.has("memory")) return onlyWritable({ version: 1, roots: first })
  const unified = lines.find(([, , type]) => type === "cgroup2")?.[1]
  return unified === undefined ? null : unifiedGroups(unified)
}

/** A version 2 hierarchy: what its root can hand down, plus freezing, which is always there. */
export const unifiedGroups = async (root: string): Promise<ControlGroups | null> => {
  const roots = new Map<Controller, string>([["freezer", root]])
  for (const controller of ["memory", "cpu", "pids"] as const) {
    const enabled = await writeFile(join(root, "cgroup.subtree_control"), `+${controller}`).then(
      () => true,
      () => false
    )
    if (enabled) roots.set(controller, root)
  }
  return onlyWritable({ version: 2, roots })
}

const onlyWritable = async (groups: ControlGroups): Promise<ControlGroups | null> => {
  const roots = new Map<Controller, string>()
  for (const [controller, root] of groups.roots) {
    const probe = join(root, `deploy-mcp-probe-${process.pid}`)
    const writable = await mkdir(probe).then(
      () => rmdir(probe).then(() => true),
      () => false
    )
    if (writable) roots.set(controller, root)
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
  const bytes = String(limits.memory * 1024 * 1024)
  const quota = String(Math.max(1000, Math.round(limits.cpu * 100_000)))
  const set = (controller: Controller, file: string, value: string) =>
    writeFile(fileOf(group, controller, file), value)
  const optional = (_: unknown) => {}
  const wanted: Array<Promise<void>> = []
  const has = (controller: Controller) => group.groups.roots.has(controller)
  if (group.groups.version === 1) {
    if (has("memory")) {
      // Swap accounting is often switched off, and its limit must not be below the other one.
      wanted.push(
        set("memory", "memory.limit_in_bytes", bytes).then(() =>
          set("memory", "memory.memsw.limit_in_bytes", bytes).catch(optional)
        )
      )
    }
    if (has("cpu")) wanted.push(set("cpu", "cpu.cfs_quota_us", quota))
  } else {
    if (has("memory")) {
      wanted.push(set("memory", "memory.max", bytes))
      wanted.push(set("memory", "memory.swap.max", "0").catch(optional))
    }
    if (has("cpu")) wanted.push(set("cpu", "cpu.max", `${quota} 100000`))
  }
  if (has("pids")) wanted.push(set("pids", "pids.max", String(maximumPids)))
  await Promise.all(wanted)
}

/** Times that the kernel killed something of the group for its memory. */
export const outOfMemoryKills = async (group: ControlGroup): Promise<number> => {
  if (!group.groups.roots.has("memory")) return 0
  const file = group.groups.version === 1 ? "memory.oom_control" : "memory.events"
  const text = await readFile(fileOf(group, "memory", file), "utf8").catch(() => "")
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)
}

/** Kills all that is in it and removes it. A frozen process outlives SIGKILL until it is thawed. */
export const removeControlGroup = async (group: ControlGroup): Promise<void> => {
  const deadline = Date.now() + 5000
  let left = directories(group)
  for (let wait = 1; left.length > 0 && Date.now() < deadline; wait = Math.min(wait * 2, 50)) {
    await thaw(group)
    for (const pid of await processesOf(group)) kill(pid)
    const still = await Promise.all(
      left.map((path) => rmdir(path).then(() => null, stillThere(path)))
    )
    left = still.filter((path) => path !== null)
    if (left.length > 0) await pause(wait)
  }
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
