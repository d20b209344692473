/** Source becomes artifact. */
import { Context, type Effect, type Redacted, Schema } from "effect"
import { Fault } from "./Fault.ts"
import type { Artifact, ArtifactKey, BuildPlan } from "./model/Artifact.ts"
import type { OwnerId } from "./model/Ids.ts"
import type { Kept } from "./model/Kept.ts"
import type { LogLine } from "./model/LogLine.ts"
import type { ServiceSettings } from "./model/Service.ts"

export class BuildError extends Schema.TaggedError<BuildError>()("BuildError", { reason: Fault }) {
  get isRetryable() {
    return this.reason.isRetryable
  }
}

export interface BuildRequest {
  readonly key: ArtifactKey
  readonly owner: OwnerId
  /** A private directory with the checked-out files; the build may write into it and consume it. */
  readonly source: string
  readonly settings: ServiceSettings
  readonly plan: BuildPlan
  /** Variables that the build may see. */
  readonly variables: Readonly<Record<string, Redacted.Redacted>>
  /** Receives each line as it is printed; secrets are not removed yet. */
  readonly log: (stream: LogLine["stream"], text: string) => Effect.Effect<void>
}

export class Build extends Context.Service<
  Build,
  {
    /** What would be done with the files in `source`. Reads only. */
    readonly plan: (
      source: string,
      settings: ServiceSettings
    ) => Effect.Effect<BuildPlan, BuildError>
    /** The artifact with this key, when it is there and whole. */
    readonly find: (key: ArtifactKey) => Effect.Effect<Artifact | null, BuildError>
    /** Builds, or returns what is there: one key gives one artifact. An interrupt leaves nothing behind. */
    readonly artifact: (request: BuildRequest) => Effect.Effect<Artifact, BuildError>
    /** Succeeds also when there is nothing to remove. */
    readonly remove: (key: ArtifactKey) => Effect.Effect<void, BuildError>
    /** Every artifact that this platform's builds have left here, whole or not. */
    readonly kept: Effect.Effect<ReadonlyArray<Kept<ArtifactKey>>, BuildError>
    /** How builds are fenced here, in one sentence for people, e.g. `bubblewrap 0.8.0`. */
    readonly isolation: Effect.Effect<string>
  }
>()("@deploy-mcp/domain/Build") {}
