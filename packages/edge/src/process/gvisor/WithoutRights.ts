/** For tests: what a service in gVisor is like where the edge is not root, told as JSON in the last line. */
import { readFile } from "node:fs/promises"
import { attemptsOfService, openEscapeWorld, succeeded } from "../EscapeWorld.ts"
import { allProcesses, treeOf } from "../ProcessTree.ts"
import { fetchText, openTestEdge } from "../TestEdge.ts"
import { kernelOf } from "./KernelOf.ts"

const edge = await openTestEdge({ sandbox: "gvisor" })
process.once("uncaughtException", async (error) => {
  await edge.close()
  console.error(error)
  process.exit(1)
})
const run = await edge.run(
  `process.on("SIGTERM", () => { console.log("bye"); process.exit(0) })
  require("node:http").createServer((q, a) => a.end(require("node:fs").readFileSync("/proc/version")))
    .listen(process.env.PORT)`
)
const kernel = await fetchText(await run.healthy())
const kernels = await kernelOf(await treeOf(process.pid))
const bytes = await run.process.freeze()
const states = (await allProcesses()).filter(({ pid }) => kernels.includes(pid))
const frozen = states.map(({ state }) => state)
await run.process.stop(20_000)
const world = await openEscapeWorld(edge.home)
const escaped = succeeded(await attemptsOfService(edge, world))
await world.close()
await edge.close()
const survivors = await kernelOf((await allProcesses()).map(({ pid }) => pid))
const own = survivors.filter((pid) => kernels.includes(pid))
console.log(
  JSON.stringify({
    isolation: edge.processes.isolation,
    hostKernel: kernel === (await readFile("/proc/version", "utf8")),
    bytes,
    frozen,
    lines: run.lines,
    escaped,
    survivors: own
  })
)
