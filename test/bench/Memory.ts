/** Resident memory of control and edge together, when nobody asks for anything. */
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { ended } from "./Floor.ts"
import { launch } from "./Launch.ts"
import { rssOf } from "./Machine.ts"
import { inSession } from "./McpCalls.ts"
import { row } from "./Numbers.ts"
import type { Benchmark } from "./World.ts"

/** A process gives back what its start needed within this time; that is what is measured. */
const idleMs = 5000

export const memory: Benchmark = {
  id: "memory",
  run: async (world) => {
    const script = join(world.folder, "idle.mjs")
    writeFileSync(script, "setInterval(() => {}, 60_000)")
    const idle = [1, 2].map(() => spawn(process.execPath, [script], { stdio: "ignore" }))
    const platform = await launch(world.folder)
    const pids = [platform.pid("control"), platform.pid("edge")] as const
    const rssNow = () => ({ control: rssOf(pids[0]), edge: rssOf(pids[1]) })

    await pause(idleMs)
    const atStart = rssNow()
    const floor = idle.map(({ pid }) => rssOf(pid ?? 0)).reduce((sum, one) => sum + one, 0)
    const agent = await inSession({ port: platform.port, key: platform.key })
    await agent.call("list_services", {})
    agent.close()
    await pause(idleMs)
    const afterSession = rssNow()

    for (const child of idle) child.kill("SIGKILL")
    await Promise.all(idle.map(ended))
    await platform.stop()
    const measured = (what: string, parts: { readonly control: number; readonly edge: number }) =>
      row({
        what,
        unit: "MiB",
        ours: [parts.control + parts.edge],
        floor: [floor],
        floorIs: "two idle node processes",
        budget: { p50: 220 },
        parts
      })
    return [
      measured("memory, idle for 5 s", atStart),
      measured("memory, 5 s after an MCP session", afterSession)
    ]
  }
}
