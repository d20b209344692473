/** Reads what invariants look at: rows by a connection of its own, and the worlds themselves. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync, type StatementSync } from "node:sqlite"
import type {
  DeploymentView,
  Promises,
  ReleaseView,
  StageView,
  VariableView,
  WorldView
} from "@deploy-mcp/domain/chaos/WorldView"
import { commitNote } from "@deploy-mcp/providers/git/memory/GitMemory"
import { trashRetention } from "./Control.ts"
import type { SimulatedTime } from "./Time.ts"
import type { Worlds } from "./Worlds.ts"

/** Milliseconds that a purge may take: it is tried again each minute. */
const purgePatience = 10 * 60_000

export interface LookOptions {
  readonly home: string
  readonly time: SimulatedTime
  readonly worlds: Worlds
  readonly keptHistory: number
  /** Successful builds since a key was last removed. */
  readonly builds: ReadonlyMap<string, number>
  /** What was printed. */
  readonly printed: ReadonlyArray<string>
}

/** Rows come from our own statements below, so their columns are known. */
const queries = {
  stages: `SELECT stages.id AS stage, services.name AS service, stages.generation AS generation,
      stages.live_release_id AS live, services.trashed_at AS trashedAt
    FROM stages JOIN services ON services.id = stages.service_id ORDER BY stages.id`,
  deployments: `SELECT id AS deployment, stage_id AS stage, number, cause, status, commit_sha AS 'commit',
      COALESCE(head_sha, commit_sha) AS answers, settings_revision AS settingsRevision,
      release_id AS release, artifact_key AS artifact, finished_at AS finishedAt, json_extract(failure, '$.code') AS code
    FROM deployments ORDER BY stage_id, number`,
  releases: `SELECT id AS release, stage_id AS stage, deployment_id AS deployment,
      artifact_key AS artifact, state FROM releases ORDER BY stage_id, number`,
  variables: `SELECT id, stage_id AS stage, name, replaced_at IS NOT NULL AS past
    FROM variables ORDER BY id`
} as const

export class Look {
  private readonly db: DatabaseSync
  private readonly prepared = new Map<string, StatementSync>()
  private readonly options: LookOptions

  constructor(options: LookOptions) {
    this.options = options
    this.db = new DatabaseSync(join(options.home, "deploy-mcp.db"))
  }

  close(): void {
    this.db.close()
  }

  view(
    { control, nodeIsTold }: Pick<WorldView, "control" | "nodeIsTold">,
    promises: Promises,
    undisturbed: WorldView["undisturbed"] = null
  ): WorldView {
    const { builds, home, keptHistory, time, worlds } = this.options
    const stages = this.rows<Omit<StageView, "trashed"> & { readonly trashedAt: number | null }>(
      queries.stages
    )
    return {
      at: time.now,
      keptHistory,
      control,
      nodeIsTold,
      stages: stages.map(({ trashedAt, ...row }) => ({
        ...row,
        trashed: trashedAt !== null,
        overdue: trashedAt !== null && trashedAt + trashRetention + purgePatience < time.now
      })),
      deployments: this.rows<DeploymentView>(queries.deployments),
      releases: this.rows<ReleaseView>(queries.releases),
      variables: this.rows<VariableView>(queries.variables).map((row) => ({
        ...row,
        past: Boolean(row.past)
      })),
      node: [...worlds.node.stages.values()].map(({ generation, releases, route, stage }) => ({
        stage,
        generation,
        route,
        running: releases
          .filter(({ release }) => worlds.node.running.has(release))
          .map(({ release }) => ({
            release,
            healthy: worlds.node.running.get(release) === "healthy"
          }))
      })),
      artifacts: namesIn(join(home, "artifacts"))
        .filter((name) => name.endsWith(".json"))
        .map((name) => name.slice(0, -5)),
      builtFrom: (artifact) => {
        const note = join(home, "artifacts", artifact, commitNote)
        return existsSync(note) ? readFileSync(note, "utf8") : null
      },
      builds,
      leftovers: [
        ...namesIn(join(home, "work")).map((name) => `the work folder of ${name} is there still`),
        ...[...worlds.node.running.keys()]
          .filter((release) =>
            [...worlds.node.stages.values()].every(({ releases }) =>
              releases.every((one) => one.release !== release)
            )
          )
          .map((release) => `${release} runs outside of any stage`)
      ],
      logs: new Map(
        [...worlds.logbook].map(([name, lines]) => [name.replace("deployments/", ""), lines])
      ),
      texts: () => this.texts(),
      promises,
      undisturbed
    }
  }

  /** Deployments that have not ended, or whose end no node has shown yet. */
  open(): number {
    return this.count("SELECT COUNT(*) AS n FROM deployments WHERE finished_at IS NULL")
  }

  /** Those, what is in the trash, and messages of the engine that wait for an answer. */
  pending(): number {
    return (
      this.open() +
      this.count("SELECT COUNT(*) AS n FROM services WHERE trashed_at IS NOT NULL") +
      this.count("SELECT COUNT(*) AS n FROM cluster_messages WHERE processed = 0")
    )
  }

  private count(sql: string): number {
    return this.rows<{ n: number }>(sql)[0]?.n ?? 0
  }

  rows<Row>(sql: string): ReadonlyArray<Row> {
    const known = this.prepared.get(sql) ?? this.db.prepare(sql)
    this.prepared.set(sql, known)
    return known.all() as unknown as ReadonlyArray<Row>
  }

  private *texts() {
    const { printed, worlds } = this.options
    for (const { name } of this.rows<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table'"
    )) {
      const all = this.db.prepare(`SELECT * FROM "${name}"`)
      all.setReadBigInts(true)
      for (const row of all.all()) {
        const text = Object.values(row)
          .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value))
          .join(" ")
        yield { where: `the table ${name}`, text }
      }
    }
    yield { where: "the node", text: JSON.stringify([...worlds.node.stages.values()]) }
    for (const [name, lines] of worlds.logbook) {
      yield { where: `the log ${name}`, text: lines.map(({ text }) => text).join("\n") }
    }
    for (const text of printed) yield { where: "what control printed or answered", text }
  }
}

const namesIn = (folder: string): ReadonlyArray<string> =>
  existsSync(folder) ? readdirSync(folder) : []
