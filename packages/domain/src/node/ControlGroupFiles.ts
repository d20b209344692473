/**
 * Where control groups are mounted and which of their files limit and tell what, in both versions
 * (Linux, cgroup-v1/ and cgroup-v2.rst). Only names and texts: who uses them reads and writes.
 */

const controllers = ["memory", "cpu", "pids", "io", "freezer"] as const
export type Controller = (typeof controllers)[number]
type Version = 1 | 2

export interface MountedGroups {
  readonly version: Version
  /**
   * Directories that groups are made in. Version 2 has one for all, where only freezing is there at
   * once: the others have to be handed down first.
   */
  readonly roots: ReadonlyMap<Controller, string>
}

/** Reads `/proc/self/mounts`. Null: there are no control groups. */
export const mountedGroups = (mounts: string): MountedGroups | null => {
  const lines = mounts.split("\n").map((line) => line.split(" "))
  const first = new Map<Controller, string>()
  for (const [, point = "", type, options = ""] of lines) {
    if (type !== "cgroup") continue
    for (const controller of controllers) {
      if (options.split(",").includes(firstName(controller))) first.set(controller, point)
    }
  }
  if (first.has("memory")) return { version: 1, roots: first }
  const unified = lines.find(([, , type]) => type === "cgroup2")?.[1]
  return unified === undefined ? null : unifiedGroups(unified)
}

/** Version 1 has another word for what is read from and written to disks. */
const firstName = (controller: Controller) => (controller === "io" ? "blkio" : controller)

/** A version 2 hierarchy. */
export const unifiedGroups = (root: string): MountedGroups => ({
  version: 2,
  roots: new Map<Controller, string>([["freezer", root]])
})

/** Handed down by writing `+memory` and so on to `cgroup.subtree_control`; freezing always is. */
export const handedDown = ["memory", "cpu", "pids"] as const

export interface GroupLimits {
  /** MiB. */
  readonly memory: number
  /** Processors; 0.5 is half of one. */
  readonly cpu: number
  /** Processes and threads at a time. */
  readonly pids: number
  /** What may be read from each of these disks, and written to it. Absent: no limit. */
  readonly io?: DiskLimits
}

export interface DiskLimits {
  /** `<major>:<minor>` each. */
  readonly disks: ReadonlyArray<string>
  readonly bytesPerSecond: number
  readonly operationsPerSecond: number
}

export interface GroupWrite {
  readonly controller: Controller
  readonly file: string
  readonly value: string
  /** A kernel may lack this file. */
  readonly optional?: true
}

/** In this order for each controller: of two limits on memory the wider one must come second. */
export const limitWrites = (version: Version, limits: GroupLimits): ReadonlyArray<GroupWrite> => {
  const bytes = String(limits.memory * 1024 * 1024)
  const quota = String(Math.max(1000, Math.round(limits.cpu * 100_000)))
  const pids = { controller: "pids", file: "pids.max", value: String(limits.pids) } as const
  const memory = (file: string, value: string) => ({ controller: "memory", file, value }) as const
  const cpu = (file: string, value: string) => ({ controller: "cpu", file, value }) as const
  return version === 1
    ? [
        memory("memory.limit_in_bytes", bytes),
        // Swap is often not counted.
        { ...memory("memory.memsw.limit_in_bytes", bytes), optional: true },
        cpu("cpu.cfs_quota_us", quota),
        pids,
        ...diskWrites(version, limits.io)
      ]
    : [
        memory("memory.max", bytes),
        { ...memory("memory.swap.max", "0"), optional: true },
        cpu("cpu.max", `${quota} 100000`),
        pids,
        ...diskWrites(version, limits.io)
      ]
}

/** Each is optional: a disk may be gone since it was found, or be one that can't be held back. */
const diskWrites = (version: Version, limits: DiskLimits | undefined): Array<GroupWrite> => {
  if (limits === undefined) return []
  const { bytesPerSecond: bytes, disks, operationsPerSecond: operations } = limits
  const write = (file: string, value: string) =>
    ({ controller: "io", file, value, optional: true }) as const
  return disks.flatMap((disk) =>
    version === 1
      ? [
          write("blkio.throttle.read_bps_device", `${disk} ${bytes}`),
          write("blkio.throttle.write_bps_device", `${disk} ${bytes}`),
          write("blkio.throttle.read_iops_device", `${disk} ${operations}`),
          write("blkio.throttle.write_iops_device", `${disk} ${operations}`)
        ]
      : [
          write(
            "io.max",
            `${disk} rbps=${bytes} wbps=${bytes} riops=${operations} wiops=${operations}`
          )
        ]
  )
}

/** How often the kernel killed something of a group for its memory: a file and how to read it. */
export const memoryKills = (version: Version) => ({
  file: version === 1 ? "memory.oom_control" : "memory.events",
  read: (text: string): number => Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)
})
