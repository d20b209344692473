/** What a service is to its callers: by what is live, and before that by its settings. */
import type { ServiceView } from "@deploy-mcp/domain/commands/Views"
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import { Artifact, isPortless, type Runtime } from "@deploy-mcp/domain/model/Artifact"
import { defaultMode, ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { unfitSetting } from "@deploy-mcp/domain/model/SettingsFit"
import { Effect, Schema } from "effect"
import type { ServiceRow } from "../store/ServiceStore.ts"

export interface Kind {
  readonly type: ServiceView["type"]
  readonly mode: ServiceView["mode"]
  /** Null: it is on none. */
  readonly schedule: string | null
  readonly hasUrl: boolean
}

export const kindOf = (row: ServiceRow): Kind => {
  const { liveArtifact, liveSettings, settings } = row
  const runtime = liveArtifact === null ? null : decodeArtifact(liveArtifact).runtime
  // A rollback brings settings of its own.
  const served = liveSettings === null ? settings : decodeSettings(liveSettings)
  const { build_pack, schedule, type } = served
  const { mode = defaultMode } = settings
  if (runtime?.kind === "static" || (runtime === null && build_pack === "static")) return site
  if (runtime === null ? isPortlessBy(settings) : isPortless(runtime)) {
    return schedule === undefined ? worker : { ...worker, mode: "scheduled", schedule }
  }
  if (runtime === null && type === "webapp_static") return site
  return {
    type: type === "backend" ? "backend" : "webapp",
    // What it does now may be less than what was asked for.
    mode: hasWorkers(runtime) ? "persistent" : mode,
    schedule: null,
    hasUrl: true
  }
}

/** Refuses a setting that would do nothing. */
export const checkFit = (settings: ServiceSettings): Effect.Effect<void, CommandError> => {
  const unfit = unfitSetting(settings)
  return unfit === null
    ? Effect.void
    : Effect.fail(
        refuse("invalid_argument", `${unfit.setting}: ${unfit.rule}.`, { next: unfit.next })
      )
}

/** Said by the settings alone, before there is anything to look at. */
export const isPortlessBy = ({ schedule, type }: ServiceSettings): boolean =>
  schedule !== undefined || type === "worker"

const site: Kind = { type: "webapp_static", mode: "static", schedule: null, hasUrl: true }
const worker: Kind = { type: "worker", mode: "persistent", schedule: null, hasUrl: false }

const hasWorkers = (runtime: Runtime | null): boolean =>
  runtime !== null && runtime.kind !== "static" && Object.keys(runtime.workers ?? {}).length > 0

const decodeArtifact = Schema.decodeUnknownSync(Schema.fromJsonString(Artifact))
const decodeSettings = Schema.decodeUnknownSync(Schema.fromJsonString(ServiceSettings))
