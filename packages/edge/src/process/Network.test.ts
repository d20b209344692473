import { randomBytes } from "node:crypto"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it, onTestFinished } from "vitest"
import { probeMachine } from "./Machine.ts"
import {
  linkGroup,
  linkPrefix,
  makeNetwork,
  namespacePrefix,
  removeAllNetworks,
  removeNetwork
} from "./Network.ts"
import { mustRun } from "./Program.ts"

describe("the networks of a home", () => {
  it("go together, also what an earlier version made, and another home's stay", async () => {
    const home = await mkdtemp(join(tmpdir(), "edge-network-"))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    const [homeId = "", other = ""] = [1, 2].map(() => randomBytes(4).toString("hex"))
    const { notes, slots } = await probeMachine(home, homeId)
    const tools = slots?.network
    // Here nobody may make one.
    if (!tools) return assert.isAbove(notes.length, 0)
    const kept = await makeNetwork(tools, other, null)
    onTestFinished(() => removeNetwork(tools, kept))
    const [old] = [await makeNetwork(tools, homeId, null), await makeNetwork(tools, homeId, null)]
    await mustRun(tools.ip, ["link", "set", old.link, "group", "0"])
    const grouped = (group: number) =>
      mustRun(tools.ip, ["-o", "link", "show", "group", String(group)])
    assert.lengthOf((await grouped(linkGroup(homeId))).trim().split("\n"), 1)
    await removeAllNetworks(tools, homeId)
    const links = await mustRun(tools.ip, ["-o", "link", "show"])
    assert.notInclude(links, linkPrefix(homeId))
    assert.include(links, kept.link)
    const namespaces = await readdir("/run/netns")
    assert.isFalse(namespaces.some((name) => name.startsWith(namespacePrefix(homeId))))
    assert.include(namespaces, kept.namespace)
  })
})
