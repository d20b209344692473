/**
 * `npm run bench`: what the platform takes for what people wait for, next to what the same takes
 * without it, and the budgets that it has to keep.
 *
 *   --only static,mcp   some benchmarks        --n 10       so many times each
 *   --json [file]       numbers for programs   --strict     a missed budget is exit code 1
 *   --services 50,200   so many running and sleeping services, where many are measured
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { density } from "./Density.ts"
import { engine } from "./Engine.ts"
import { gitPush } from "./GitPush.ts"
import { logs } from "./Logs.ts"
import { busy, load, machine } from "./Machine.ts"
import { mcp } from "./Mcp.ts"
import { memory } from "./Memory.ts"
import type { Row } from "./Numbers.ts"
import { proxy } from "./Proxy.ts"
import { pushes } from "./Pushes.ts"
import { ready } from "./Ready.ts"
import { redeploy } from "./Redeploy.ts"
import { rollback } from "./Rollback.ts"
import { partsTable, table } from "./Table.ts"
import { wake } from "./Wake.ts"
import { type Benchmark, makeWorld } from "./World.ts"

const benchmarks: ReadonlyArray<Benchmark> = [
  ...pushes,
  redeploy,
  rollback,
  wake,
  ...mcp,
  ready,
  memory,
  engine,
  gitPush,
  proxy,
  logs,
  density
]

const main = async () => {
  const options = readOptions(process.argv.slice(2))
  const before = machine()
  const started = performance.now()
  const rows: Array<Row> = []
  const world = await makeWorld(options.n, options.population)
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void world.close().finally(() => process.exit(130)))
  }
  try {
    for (const benchmark of benchmarks.filter(({ id }) => options.ids.has(id))) {
      console.error(`bench: ${benchmark.id}`)
      rows.push(...(await benchmark.run(world)))
    }
  } finally {
    await world.close()
  }
  const loadAtEnd = load()
  const facts = { ...before, loadAtEnd, seconds: Math.round((performance.now() - started) / 1000) }
  const isBusy = Math.max(before.load, loadAtEnd) > busy
  const report = JSON.stringify({ machine: { ...facts, isBusy }, rows }, null, 2)
  if (options.json === "-") console.log(report)
  else {
    console.log(`${factsLine(facts)}\n\n${table(rows)}\n\n${partsTable(rows)}`)
    if (isBusy) {
      console.log(`\nThe load average was above ${busy}: the machine does other things besides, so
all numbers are upper bounds. Ratios suffer less, because ours and the floor took turns.`)
    }
    if (options.json !== undefined) writeFileSync(options.json, `${report}\n`)
  }
  const missed = rows.filter(({ ok, budget }) => !ok && !budget.informational)
  if (options.strict && missed.length > 0) process.exitCode = 1
}

const readOptions = (args: ReadonlyArray<string>) => {
  // The file is optional, which parseArgs does not know.
  const spelled = args.map((arg, index) =>
    arg === "--json" && (args[index + 1] ?? "--").startsWith("--") ? "--json=-" : arg
  )
  const { values } = parseArgs({
    args: spelled,
    options: {
      only: { type: "string" },
      n: { type: "string" },
      json: { type: "string" },
      services: { type: "string", default: "200,800" },
      strict: { type: "boolean", default: false }
    }
  })
  const known = benchmarks.map(({ id }) => id)
  const ids = new Set(values.only?.split(",") ?? known)
  for (const id of ids) {
    if (!known.includes(id)) throw new Error(`--only ${id}: choose among ${known.join(", ")}.`)
  }
  const n = values.n === undefined ? undefined : Number(values.n)
  if (n !== undefined && !(Number.isInteger(n) && n > 0)) {
    throw new Error(`--n ${values.n}: it must be a whole number above 0.`)
  }
  const [running = 0, sleeping = 0, ...more] = values.services.split(",").map(Number)
  if (more.length > 0 || ![running, sleeping].every(Number.isInteger) || running < 1) {
    throw new Error(`--services ${values.services}: running and sleeping ones, as in 50,200.`)
  }
  return { ids, n, population: { running, sleeping }, json: values.json, strict: values.strict }
}

const factsLine = (facts: ReturnType<typeof machine> & { loadAtEnd: number; seconds: number }) =>
  `${facts.cores} cores (${facts.processor}), Linux ${facts.kernel}, Node.js ${facts.node}, ` +
  `load ${facts.load} at the start and ${facts.loadAtEnd} at the end, ${facts.seconds} s`

await main().catch((error: unknown) => {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 2
})
