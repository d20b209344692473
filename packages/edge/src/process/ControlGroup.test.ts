import { spawn } from "node:child_process"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import {
  type ControlGroup,
  type ControlGroups,
  canFreeze,
  controlGroupNames,
  findControlGroups,
  freeze,
  joinFiles,
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

/** Until the kernel says so: it takes a moment over it. */
const untilSays = ({ groups, name }: ControlGroup, wanted: RegExp): Promise<string> => {
  const file = groups.version === 1 ? "freezer.state" : "cgroup.events"
  const path = join(groups.roots.get("freezer") ?? "", name, file)
  return eventually(async () => wanted.exec(await readFile(path, "utf8"))?.[0] ?? null)
}
const frozen = /^FROZEN$|^frozen 1$/m
const thawed = /^THAWED$|^frozen 0$/m

describe("control groups", () => {
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
})
