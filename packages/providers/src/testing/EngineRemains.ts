/** What a Docker Engine that was stopped, or killed, has left running. */
import { readdir, readFile, readlink, rmdir } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"

/** Shims and helpers share the engine's mounts; containers are in its control group. */
export const processesOf = async (
  controlGroup: string,
  namespaces: string
): Promise<ReadonlyArray<number>> => {
  const mounts = await readlink(`/proc/${namespaces}/ns/mnt`).catch(() => "ended")
  const names = (await readdir("/proc")).filter((name) => /^\d+$/u.test(name))
  const ours = await Promise.all(
    names.map(async (pid) => {
      if (pid === namespaces) return false
      const group = await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "")
      if (group.includes(`/${controlGroup}/`)) return true
      return (await readlink(`/proc/${pid}/ns/mnt`).catch(() => "")) === mounts
    })
  )
  return names.filter((_, index) => ours[index]).map(Number)
}

/** The kernel lets a group go a moment after its last process. */
export const removeControlGroups = async (controlGroup: string): Promise<void> => {
  const roots = await readdir("/sys/fs/cgroup").catch(() => [])
  for (const root of ["", ...roots]) {
    const path = join("/sys/fs/cgroup", root, controlGroup)
    for (let round = 0; round < 50 && !(await removeTree(path)); round++) await pause(20)
  }
}

const removeTree = async (path: string): Promise<boolean> => {
  const inside = await readdir(path, { withFileTypes: true }).catch(() => null)
  if (inside === null) return true
  for (const entry of inside) if (entry.isDirectory()) await removeTree(join(path, entry.name))
  return rmdir(path).then(
    () => true,
    () => false
  )
}
