/** What has to outlive the edge of stages on a schedule: one small file each, replaced as a whole. */
import { mkdir, readdir, readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { RunObserved } from "@deploy-mcp/domain/node/NodeProtocol"
import { Schema } from "effect"
import { writeAtomic } from "./AtomicFile.ts"
import { type Log, reasonOf } from "./Log.ts"

const RunRecord = Schema.Struct({
  /** Null: the stage has no schedule now. */
  cron: Schema.NullOr(Schema.String),
  /** What was due until then has been started or left out, in milliseconds since 1970. */
  since: Schema.Int,
  last: Schema.NullOr(RunObserved)
})
export type RunRecord = typeof RunRecord.Type

export interface RunRecords {
  readonly get: (stage: string) => RunRecord | undefined
  /** Resolves when it is on the disk, or can't be kept there. */
  readonly put: (stage: string, record: RunRecord) => Promise<void>
  readonly forget: (stage: string) => void
  readonly close: () => Promise<void>
}

export interface RunRecordsOptions {
  readonly folder: string
  readonly log: Log
  /** Stages that there are; others are forgotten. */
  readonly listed: ReadonlySet<string>
}

export const loadRunRecords = async (options: RunRecordsOptions): Promise<RunRecords> => {
  const { folder, listed, log } = options
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const records = new Map<string, RunRecord>()
  const fileOf = (stage: string): string => join(folder, `${stage}.json`)
  for (const name of await readdir(folder)) {
    const stage = name.replace(/\.json$/u, "")
    const record = listed.has(stage) ? await read(join(folder, name), log) : null
    if (record === null) await rm(join(folder, name), { recursive: true, force: true })
    else records.set(stage, record)
  }
  let writing = Promise.resolve()
  const write = (change: () => Promise<void>): Promise<void> => {
    writing = writing.then(change).catch((error: unknown) => {
      log(`can't keep on disk what ran: ${reasonOf(error)}`)
    })
    return writing
  }
  return {
    get: (stage) => records.get(stage),
    put: (stage, record) => {
      records.set(stage, record)
      return write(() => writeAtomic(fileOf(stage), `${JSON.stringify(record)}\n`))
    },
    forget: (stage) => {
      if (records.delete(stage)) void write(() => rm(fileOf(stage), { force: true }))
    },
    close: () => writing
  }
}

const read = async (path: string, log: Log): Promise<RunRecord | null> => {
  try {
    return decode(await readFile(path, "utf8"))
  } catch (error) {
    log(`dropped ${path}: ${reasonOf(error)}`)
    return null
  }
}

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(RunRecord))
