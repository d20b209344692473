import { spawn } from "node:child_process"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import {
  type ControlGroups,
  controlGroupNames,
  findControlGroups,
  joinFiles,
  makeControlGroup,
  removeControlGroup,
  unifiedGroups
} from "./ControlGroup.ts"
import { processStatus } from "./ProcessTree.ts"

/** Both versions where this machine mounts both; none for a user without rights. */
const available = async (): Promise<ReadonlyArray<ControlGroups>> => {
  const lines = (await readFile("/proc/self/mounts", "utf8")).split("\n")
  const unified = lines.map((line) => line.split(" ")).find(([, , type]) => type === "cgroup2")?.[1]
  const both = [
    await findControlGroups(),
    unified === undefined ? null : await unifiedGroups(unified)
  ]
  return both.filter((groups) => groups !== null)
}

describe("control groups", () => {
  it("are removed with all that is frozen in them", async () => {
    for (const groups of await available()) {
      const name = `deploy-mcp-test-${process.pid}-${groups.version}`
      const group = await makeControlGroup(groups, name)
      const child = spawn("sleep", ["60"])
      for (const file of joinFiles(group)) await writeFile(file, String(child.pid))
      const file = groups.version === 1 ? "freezer.state" : "cgroup.freeze"
      const freezer = groups.roots.get("freezer") ?? ""
      await writeFile(join(freezer, name, file), groups.version === 1 ? "FROZEN" : "1")
      assert.deepStrictEqual(await controlGroupNames(groups, name), [name])
      await removeControlGroup(group)
      assert.deepStrictEqual(await controlGroupNames(groups, name), [])
      const status = await processStatus(child.pid ?? 0)
      assert.include([undefined, "Z", "X"], status?.state)
      await removeControlGroup(group)
    }
  })
})
