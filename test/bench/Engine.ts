/**
 * Workflows of five steps that do nothing, fifty at once: what is left is the engine. DBOS does the same
 * on the same Postgres in turns with ours; on SQLite ours is alone, next to what the disk takes.
 */
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { hasPostgres, startPostgres } from "@deploy-mcp/providers/database/postgres/PostgresServer"
import { type EngineProcess, startEngine, steps } from "./EngineRig.ts"
import { type Row, row } from "./Numbers.ts"
import { type Benchmark, interleave, partsOf, type World } from "./World.ts"

const width = 50

export const engine: Benchmark = {
  id: "engine",
  run: async (world) => [
    ...(await onSqlite(world)),
    ...(hasPostgres ? await onPostgres(world) : notHere())
  ]
}

const notHere = () => {
  console.error("bench: Postgres is not installed, so nothing is compared with DBOS")
  return []
}

/** The disk's own part is a commit for what each step begins with and one for what it ends with. */
const onSqlite = async (world: World): Promise<ReadonlyArray<Row>> => {
  const ours = await startEngine(program("EngineOurs.ts"), [join(world.folder, "engine.db")])
  const disk = journalOf(join(world.folder, "floor.db"))
  try {
    const alone = await measure(world, ours, async () => disk.workflow())
    return [
      row({
        what: "workflow of 5 steps, alone, SQLite",
        ...alone,
        floorIs: "its 12 commits by themselves",
        budget: { informational: true }
      })
    ]
  } finally {
    disk.close()
    await ours.stop()
  }
}

/** One workflow at a time; what is not the processor's part is waiting for the database. */
const measure = async (world: World, ours: EngineProcess, floor: () => Promise<number>) => {
  await ours.round(10, 1)
  const parts = partsOf()
  const once = async () => {
    const { cpu, ms } = await ours.round(1, 1)
    parts.add("processor", cpu)
    return ms
  }
  const samples = await interleave(world.times(30), once, floor)
  return { ...samples, parts: parts.medians() }
}

const onPostgres = async (world: World): Promise<ReadonlyArray<Row>> => {
  const postgres = await startPostgres(["fsync=on"])
  const [database, peers] = [postgres.database(), postgres.database()]
  const ours = await startEngine(program("EngineOurs.ts"), [database])
  const dbos = await startEngine(program("EngineDbos.ts"), [peers])
  try {
    for (const each of [ours, dbos]) await each.round(2 * width, width)
    const alone = await measure(world, ours, async () => (await dbos.round(1, 1)).ms)
    let cpu = 0
    const perSecond = (ms: number) => (width * 1000) / ms
    const together = await interleave(
      world.times(12),
      async () => {
        const round = await ours.round(width, width)
        cpu += round.cpu / width
        return perSecond(round.ms)
      },
      async () => perSecond((await dbos.round(width, width)).ms)
    )
    return [
      row({
        what: "workflow of 5 steps, alone, Postgres",
        ...alone,
        floorIs: "DBOS on the same server",
        budget: { informational: true }
      }),
      row({
        what: "workflows of 5 steps, 50 at once",
        unit: "a second",
        ...together,
        floorIs: "DBOS on the same server",
        budget: { ratioAtLeast: 1 },
        cpu: { own: cpu / together.ours.length, children: 0 }
      })
    ]
  } finally {
    await ours.stop()
    await dbos.stop()
    await postgres.stop()
  }
}

const program = (name: string) => join(import.meta.dirname, name)

/** A journal that keeps no more than it must: each start and each end of a step, durable before the next. */
const journalOf = (file: string) => {
  const db = new DatabaseSync(file)
  db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE journal (entry TEXT)")
  const insert = db.prepare("INSERT INTO journal VALUES (?)")
  return {
    workflow: () => {
      const started = performance.now()
      for (const step of ["run", ...steps]) {
        for (const word of ["begins", "ends"]) insert.run(`${step} ${word}`)
      }
      return performance.now() - started
    },
    close: () => db.close()
  }
}
