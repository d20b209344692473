/** For tests: what an edge sees that has no rights, told as JSON in the last line. */
import { readFile } from "node:fs/promises"
import { attemptsOfService, openEscapeWorld, succeeded } from "./EscapeWorld.ts"
import { freePort } from "./FreePort.ts"
import { allProcesses } from "./ProcessTree.ts"
import { fetchText, openTestEdge } from "./TestEdge.ts"

process.env.EDGE_OWN_WORD = "edge-own-word"
const port = await freePort()
const edge = await openTestEdge({ without: process.argv.slice(2) })
process.once("uncaughtException", async (error) => {
  await edge.close()
  console.error(error)
  process.exit(1)
})
const first = await edge.run(
  `const fs = require("node:fs")
  const attempt = (act) => { try { return act() } catch (error) { return error.code } }
  const tell = () => JSON.stringify({
    homeSeen: fs.existsSync(${JSON.stringify(edge.home)}),
    environ: attempt(() => fs.readFileSync("/proc/1/environ", "utf8")),
    written: attempt(() => fs.writeFileSync("x", "x"))
  })
  process.on("SIGTERM", () => { console.log("bye"); process.exit(0) })
  require("node:child_process").spawn("sleep", ["299.125"], { detached: true }).unref()
  require("node:http").createServer((q, a) => a.end(q.url === "/tell" ? tell() : process.env.WORD))
    .listen(${port})`,
  { variables: { WORD: "hello 'quoted'" } }
)
const endpoint = await first.healthy()
const answer = await fetchText(endpoint)
const told = await fetchText(endpoint, "/tell").then(JSON.parse)
const frozenBytes = await first.process.freeze()
const frozen = await statesOf("299.125")
await first.process.thaw()
const thawed = { states: await statesOf("299.125"), answer: await fetchText(endpoint) }
// A stop has to be heard although it stands still.
await first.process.freeze()
const second = await edge.run(
  `require("node:http").createServer((q, a) => a.end("second")).listen(${port})`
)
const beside = await second.until(({ state }) => state === "healthy" || state === "failed")
const failure = beside.endpoint ? await fetchText(beside.endpoint) : beside.failure
const silent = await edge.run("setInterval(() => {}, 1000)", {
  workload: { port, startTimeout: 1000 }
})
const pinned = await silent.failed()
const greedy = await edge.run(
  `const all = []; for (;;) all.push(new Array(1e6).fill({}).map(() => ({})))`,
  { workload: { memory: 64 } }
)
const memory = await greedy.failed()
const worker = await edge.work(
  `process.on("SIGTERM", () => { console.log("worked with", process.env.PORT); process.exit(0) })
  require("node:child_process").spawn("sleep", ["299.125"], { detached: true }).unref()
  console.log("works")
  setInterval(() => {}, 1000)`
)
await worker.line(/works/)
await worker.worker.stop(5000)
const work = worker.lines
await first.process.stop(5000)
const world = await openEscapeWorld(edge.home)
const escaped =
  edge.processes.isolation.level === "plain" ? [] : succeeded(await attemptsOfService(edge, world))
await world.close()
await edge.close()
const survivors = await statesOf("299.125")
const { isolation } = edge.processes
const lines = first.lines
console.log(
  JSON.stringify({
    isolation,
    answer,
    frozenBytes,
    frozen,
    thawed,
    lines,
    work,
    escaped,
    ...told,
    second: failure,
    pinned,
    memory,
    survivors,
    port
  })
)

/** One letter for each process with this word in its command line. */
async function statesOf(word: string): Promise<ReadonlyArray<string>> {
  const found = await Promise.all(
    (await allProcesses()).map(async ({ pid, state }) => {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")
      return line.includes(word) ? state : null
    })
  )
  return found.filter((state) => state !== null)
}
