/**
 * What the control of one role wants of this node, as far as it was accepted: the newest spec of each stage with
 * epoch and revision, on disk before anybody acts on it. Older words are refused.
 */
import { readFileSync } from "node:fs"
import { mkdir, readdir, readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import type { StageSpec, ToEdge } from "@deploy-mcp/domain/node/NodeProtocol"
import { Schema } from "effect"
import { writeAtomic } from "./AtomicFile.ts"
import type { Log } from "./Log.ts"
import { decodeStage } from "./Messages.ts"

export type Change = Extract<ToEdge, { readonly type: "snapshot" | "delta" }>

/** A stage that is to go, and the newest generation that says so. */
export interface Removal {
  readonly stage: StageSpec["stage"]
  readonly generation: number
}

export interface Accepted {
  readonly put: ReadonlyArray<StageSpec>
  readonly remove: ReadonlyArray<Removal>
}

export interface DesiredState {
  readonly epoch: number
  readonly revision: number
  readonly stages: ReadonlyMap<string, StageSpec>
  /** Keeps the change on disk and says what is new in it, or why it is refused. Call one at a time. */
  readonly accept: (change: Change) => Promise<Accepted | { readonly refused: string }>
  /** Drops stages that are not this role's any more. Call one at a time, with `accept`. */
  readonly forget: (stages: ReadonlyArray<StageSpec["stage"]>) => Promise<void>
}

export const loadDesiredState = async (folder: string, log: Log): Promise<DesiredState> => {
  const stagesFolder = join(folder, "stages")
  await mkdir(stagesFolder, { recursive: true, mode: 0o700 })
  const { damaged, stages } = await readStages(stagesFolder, log)
  let { epoch, revision } = await readPosition(join(folder, "node.json"))
  // Control sees a revision that it never made and sends everything again.
  if (damaged) revision = 0
  const fileOf = (stage: string): string => join(stagesFolder, `${stage}.json`)
  const removeFiles = async (ids: ReadonlyArray<string>): Promise<void> => {
    for (const stage of ids) await rm(fileOf(stage), { force: true })
  }

  return {
    get epoch() {
      return epoch
    },
    get revision() {
      return revision
    },
    stages,
    accept: async (change) => {
      const refused = whyRefused(change, epoch, revision)
      if (refused !== null) return { refused }
      const { put, remove } = differences(change, stages)
      // Stages first: a kill in between leaves newer stages under an older position, which the
      // generations make harmless; the other way round would lose a stage.
      for (const spec of put) await writeAtomic(fileOf(spec.stage), JSON.stringify(spec))
      await removeFiles(remove.map(({ stage }) => stage))
      const position = { epoch: change.epoch, revision: change.revision }
      await writeAtomic(join(folder, "node.json"), `${JSON.stringify(position)}\n`)
      for (const spec of put) stages.set(spec.stage, spec)
      for (const { stage } of remove) stages.delete(stage)
      epoch = change.epoch
      revision = change.revision
      return { put, remove }
    },
    forget: async (ids) => {
      await removeFiles(ids)
      for (const stage of ids) stages.delete(stage)
    }
  }
}

const whyRefused = (change: Change, epoch: number, revision: number): string | null => {
  if (change.epoch < epoch) return `epoch ${change.epoch} is older than epoch ${epoch} held here`
  if (change.epoch === epoch && change.revision < revision) {
    return `revision ${change.revision} is older than revision ${revision} held here`
  }
  if (change.type === "snapshot") return null
  if (change.epoch > epoch) return `epoch ${change.epoch} has to begin with a snapshot`
  if (change.revision > revision + 1) {
    return `revision ${change.revision} leaves a gap after ${revision}; send a snapshot`
  }
  return null
}

/** An equal generation is the same content; a lower one is late. Both change nothing. */
const differences = (change: Change, stages: ReadonlyMap<string, StageSpec>): Accepted => {
  const listed = change.type === "snapshot" ? change.stages : change.put
  const put = listed.filter((spec) => {
    const held = stages.get(spec.stage)
    return held === undefined || spec.generation > held.generation
  })
  if (change.type === "delta") {
    const remove = change.remove.filter(({ generation, stage }) => {
      const held = stages.get(stage)
      return held === undefined || held.generation <= generation
    })
    return { put, remove }
  }
  const kept = new Set<string>(listed.map((spec) => spec.stage))
  return { put, remove: [...stages.values()].filter((spec) => !kept.has(spec.stage)) }
}

const readStages = async (folder: string, log: Log) => {
  const stages = new Map<string, StageSpec>()
  let damaged = false
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    // At once: to wait for each of a thousand small files takes ten times as long as to read them.
    const spec = name.endsWith(".json") ? decodeStage(readFileSync(path, "utf8")) : null
    if (spec !== null && `${spec.stage}.json` === name) {
      stages.set(spec.stage, spec)
      continue
    }
    if (name.endsWith(".json")) damaged = true
    log(`dropped ${path}: not a whole stage`)
    await rm(path, { force: true, recursive: true })
  }
  return { damaged, stages }
}

const readPosition = async (path: string): Promise<{ epoch: number; revision: number }> => {
  try {
    return decodePosition(JSON.parse(await readFile(path, "utf8")))
  } catch {
    return { epoch: 0, revision: 0 }
  }
}

const decodePosition = Schema.decodeUnknownSync(
  Schema.Struct({ epoch: Schema.Int, revision: Schema.Int })
)
