import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Controller } from "@deploy-mcp/domain/node/ControlGroupFiles"
import { assert, describe, it } from "vitest"
import {
  type ControlGroup,
  type ControlGroups,
  canFreeze,
  controlGroupNames,
  findControlGroups,
  freeze,
  joinFiles,
  limitControlGroup,
  makeControlGroup,
  removeControlGroup,
  thaw,
  usableUnified
} from "./ControlGroup.ts"
import { processStatus } from "./ProcessTree.ts"
import { eventually } from "./TestEdge.ts"

/** Both versions where this machine mounts both; none for a user without rights. */
const available = async (): Promise<ReadonlyArray<ControlGroups>> => {
  const lines = (await readFile("/proc/self/mounts", "utf8")).split("\n")
  const unified = lines.map((line) => line.split(" ")).find(([, , type]) => type === "cgroup2")?.[1]
  const both = [
    await findControlGroups(),
    unified === undefined ? null : await usableUnified(unified)
  ]
  return both.filter((groups) => groups !== null)
}

const realDisks = async (): Promise<ReadonlyArray<string>> => {
  const names = await readdir("/sys/block")
  const real = names.filter((name) => existsSync(`/sys/block/${name}/device`))
  return Promise.all(
    real.map(async (name) => (await readFile(`/sys/block/${name}/dev`, "utf8")).trim())
  )
}

/** Until the kernel says so: it takes a moment over it. */
const untilSays = ({ groups, name }: ControlGroup, wanted: RegExp): Promise<string> => {
  const file = groups.version === 1 ? "freezer.state" : "cgroup.events"
  const path = join(groups.roots.get("freezer") ?? "", name, file)
  return eventually(async () => wanted.exec(await readFile(path, "utf8"))?.[0] ?? null)
}
const frozen = /^FROZEN$|^frozen 1$/m
const thawed = /^THAWED$|^frozen 0$/m

describe("control groups", () => {
  it("hold back what is in them, as the kernel says", async () => {
    for (const groups of await available()) {
      const group = await makeControlGroup(groups, `deploy-mcp-test-${process.pid}-limits`)
      await limitControlGroup(group, { memory: 64, cpu: 0.5 })
      const says = async (controller: Controller, first: string, second: string) => {
        const root = groups.roots.get(controller)
        if (root === undefined) return null
        const file = groups.version === 1 ? first : second
        return (await readFile(join(root, group.name, file), "utf8")).trim()
      }
      const told = [
        await says("memory", "memory.limit_in_bytes", "memory.max"),
        await says("cpu", "cpu.cfs_quota_us", "cpu.max"),
        await says("pids", "pids.max", "pids.max")
      ]
      const wanted = [
        String(64 * 1024 * 1024),
        groups.version === 1 ? "50000" : "50000 100000",
        "512"
      ]
      assert.deepStrictEqual(
        told,
        wanted.map((value, index) => (told[index] === null ? null : value))
      )
      const disks = await says("io", "blkio.throttle.write_bps_device", "io.max")
      if (disks !== null) {
        const bytes = 128 * 1024 * 1024
        for (const disk of await realDisks()) {
          assert.match(
            disks,
            new RegExp(`^${disk} (${bytes}|rbps=${bytes} wbps=${bytes} .*)$`, "m")
          )
        }
      }
      await removeControlGroup(group)
    }
  })

  it("are removed with all that is frozen in them", async () => {
    for (const groups of await available()) {
      const name = `deploy-mcp-test-${process.pid}-${groups.version}`
      const group = await makeControlGroup(groups, name)
      const child = spawn("sleep", ["60"])
      for (const file of joinFiles(group)) await writeFile(file, String(child.pid))
      assert.isTrue(canFreeze(group))
      await freeze(group)
      await untilSays(group, frozen)
      await thaw(group)
      await untilSays(group, thawed)
      await freeze(group)
      assert.deepStrictEqual(await controlGroupNames(groups, name), [name])
      await removeControlGroup(group)
      assert.deepStrictEqual(await controlGroupNames(groups, name), [])
      const status = await processStatus(child.pid ?? 0)
      assert.include([undefined, "Z", "X"], status?.state)
      await removeControlGroup(group)
    }
  })

  it("are found again and again, and what a search that was killed left is taken away", async () => {
    const probe = `deploy-mcp-probe-of-${process.getuid?.()}`
    for (const groups of await available()) {
      const left = await makeControlGroup(groups, probe)
      assert.deepStrictEqual(await controlGroupNames(groups, probe), [probe])
      await available()
      // Another one may be searching at this very moment.
      await eventually(async () => (await controlGroupNames(groups, probe)).length === 0 || null)
      await removeControlGroup(left)
    }
  })
})
