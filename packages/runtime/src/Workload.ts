/** What a node is to run for a release: its artifact, its settings and its sealed variables. */
import { type Artifact, isPortless } from "@deploy-mcp/domain/model/Artifact"
import { defaultIdleAfter, defaultTimeLimit } from "@deploy-mcp/domain/model/Service"
import type { StaticWorkload, Workload } from "@deploy-mcp/domain/node/NodeProtocol"
import type { ReleaseRow } from "./store/ReleaseStore.ts"

/** `variables` are sealed to the node's key; `startTimeout` is in milliseconds. */
export const workloadOf = (
  { artifact, settings }: Pick<ReleaseRow, "artifact" | "settings">,
  variables: string | null,
  startTimeout: number
): Workload => {
  const { directory, runtime } = artifact
  if (runtime.kind === "static") return filesOf(directory, runtime)
  const portless = isPortless(runtime)
  const { schedule, time_limit = defaultTimeLimit } = settings
  const run = {
    variables,
    port: settings.port ?? null,
    healthPath: settings.health_path ?? null,
    ...(runtime.workers === undefined ? {} : { workers: runtime.workers }),
    memory: settings.memory,
    cpu: settings.cpu,
    startTimeout,
    ...(settings.type === "backend" ? { anyStatus: true } : {}),
    ...(portless ? { listens: false } : {}),
    ...(portless && schedule !== undefined
      ? { schedule: { cron: schedule, limit: time_limit * 1_000 } }
      : {}),
    ...(settings.mode === "on_demand" && !portless
      ? { idleAfter: (settings.idle_after ?? defaultIdleAfter) * 1_000 }
      : {})
  }
  return runtime.kind === "process"
    ? { kind: "process", directory, start: runtime.start, path: runtime.path, ...run }
    : { kind: "image", image: runtime.image, start: runtime.start ?? null, ...run }
}

/** What an ingress is to serve for a release without a program; null: it has one. */
export const staticOf = ({ artifact }: Pick<ReleaseRow, "artifact">): StaticWorkload | null =>
  artifact.runtime.kind === "static" ? filesOf(artifact.directory, artifact.runtime) : null

const filesOf = (
  directory: string,
  { publish, spa }: Extract<Artifact["runtime"], { kind: "static" }>
): StaticWorkload => ({
  kind: "static",
  root: publish === "." ? directory : `${directory}/${publish}`,
  ...(spa === undefined ? {} : { spa })
})
