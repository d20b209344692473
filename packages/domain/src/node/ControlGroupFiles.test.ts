import { assert, describe, it } from "vitest"
import { type DiskLimits, limitWrites, memoryKills, mountedGroups } from "./ControlGroupFiles.ts"

const first = [
  "tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0",
  "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0",
  "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0",
  "cgroup /sys/fs/cgroup/blkio cgroup rw,blkio 0 0",
  "cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0"
]
const second = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nsdelegate 0 0"

const groups = (...lines: ReadonlyArray<string>) => {
  const found = mountedGroups(`${lines.join("\n")}\n`)
  return found && { version: found.version, roots: Object.fromEntries(found.roots) }
}

const written = (version: 1 | 2, io?: DiskLimits) =>
  limitWrites(version, { memory: 64, cpu: 1.5, pids: 9, ...(io ? { io } : {}) }).map(
    ({ file, value }) => `${file} ${value}`
  )

describe("control groups", () => {
  it("are found where they are mounted, version 1 first", () => {
    const roots = {
      memory: "/sys/fs/cgroup/memory",
      cpu: "/sys/fs/cgroup/cpu,cpuacct",
      io: "/sys/fs/cgroup/blkio"
    }
    assert.deepStrictEqual(groups(...first, second), { version: 1, roots })
    assert.deepStrictEqual(groups(second), {
      version: 2,
      roots: { freezer: "/sys/fs/cgroup/unified" }
    })
    assert.strictEqual(groups("proc /proc proc rw 0 0"), null)
  })

  it("are limited in the words of their version", () => {
    assert.deepStrictEqual(written(1), [
      "memory.limit_in_bytes 67108864",
      "memory.memsw.limit_in_bytes 67108864",
      "cpu.cfs_quota_us 150000",
      "pids.max 9"
    ])
    assert.deepStrictEqual(written(2), [
      "memory.max 67108864",
      "memory.swap.max 0",
      "cpu.max 150000 100000",
      "pids.max 9"
    ])
  })

  it("hold back what is read from disks and written to them", () => {
    const io = { disks: ["8:0", "259:1"], bytesPerSecond: 1000, operationsPerSecond: 7 }
    assert.deepStrictEqual(written(1, io).slice(4), [
      "blkio.throttle.read_bps_device 8:0 1000",
      "blkio.throttle.write_bps_device 8:0 1000",
      "blkio.throttle.read_iops_device 8:0 7",
      "blkio.throttle.write_iops_device 8:0 7",
      "blkio.throttle.read_bps_device 259:1 1000",
      "blkio.throttle.write_bps_device 259:1 1000",
      "blkio.throttle.read_iops_device 259:1 7",
      "blkio.throttle.write_iops_device 259:1 7"
    ])
    assert.deepStrictEqual(written(2, io).slice(4), [
      "io.max 8:0 rbps=1000 wbps=1000 riops=7 wiops=7",
      "io.max 259:1 rbps=1000 wbps=1000 riops=7 wiops=7"
    ])
  })

  it("tell how often the kernel killed for memory", () => {
    const { read } = memoryKills(2)
    assert.strictEqual(read("low 0\noom 3\noom_kill 2\n"), 2)
    assert.strictEqual(memoryKills(1).read("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), 1)
    assert.strictEqual(read(""), 0)
  })
})
