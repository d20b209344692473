/** For tests: an edge that starts two services and a worker, one of them frozen, and waits to be killed. */
import { isSandboxChoice } from "@deploy-mcp/domain/node/SandboxChoice"
import { treeOf } from "./ProcessTree.ts"
import { openTestEdge } from "./TestEdge.ts"

const [home = "", homeId = "", sandbox = "auto", ...without] = process.argv.slice(2)
if (!isSandboxChoice(sandbox)) throw new Error(`${sandbox} is no sandbox`)
const edge = await openTestEdge({ home, homeId, sandbox, without })
const source = `
require("node:child_process").spawn("sleep", ["300"], { detached: true }).unref()
require("node:http").createServer((question, answer) => answer.end()).listen(process.env.PORT)`
const runs = [await edge.run(source), await edge.run(source)]
for (const run of runs) await run.healthy()
const worker = await edge.work(`console.log("works"); setInterval(() => {}, 1000)`)
await worker.line(/works/)
const pids = (await treeOf(process.pid)).filter((pid) => pid !== process.pid)
await runs[0]?.process.freeze()
console.log(`ready ${process.pid} ${pids.join(" ")}`)
setInterval(() => {}, 60_000)
