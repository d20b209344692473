/** From the start of the launcher, with fresh bundles, until the platform is ready. */
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { ended } from "./Floor.ts"
import { launch } from "./Launch.ts"
import { row } from "./Numbers.ts"
import { type Benchmark, interleave } from "./World.ts"

export const ready: Benchmark = {
  id: "ready",
  run: async (world) => {
    const empty = join(world.folder, "empty.mjs")
    writeFileSync(empty, "")
    // Compiles what the platform keeps compiled.
    await (await launch(world.folder)).stop()
    const samples = await interleave(
      world.times(7),
      async () => {
        const platform = await launch(world.folder)
        await platform.stop()
        return platform.readyMs
      },
      async () => {
        const started = performance.now()
        await ended(spawn(process.execPath, [empty], { stdio: "ignore" }))
        return performance.now() - started
      }
    )
    return [
      row({
        what: "ready after start, new home",
        ...samples,
        floorIs: "node runs an empty script",
        budget: { p50: 1500 }
      })
    ]
  }
}
